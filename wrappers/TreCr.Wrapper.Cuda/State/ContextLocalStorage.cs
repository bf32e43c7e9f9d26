using TreCr.Calls.Cuda;
using TreCr.Wrapper.Runtime;

namespace TreCr.Wrapper.Cuda;

/// <summary>
/// Values that libraries keep per context, by a key of theirs (an address inside each copy of cudart). Entries end with their context; the destructor given
/// with the value then runs. Source of the meaning: facts/cuda.md, section 1.3.
/// </summary>
internal static unsafe class ContextLocalStorage
{
    private struct Entry
    {
        public ulong Context, Key;
        public void* Value;
        public delegate* unmanaged<CUcontext, void*, void*, void> Destructor;
    }

    private static readonly Lock Gate = new();
    private static Entry[] s_entries = new Entry[16];
    private static int s_count;

    /// <summary>Context 0 and -1 mean the calling thread's current one.</summary>
    private static CUresult Resolve(ref ulong context)
    {
        ProgramThread* thread = WrapperRuntime.Enter();
        if (thread == null) return WrapperRuntime.EnterError();
        if (context is 0 or ulong.MaxValue) context = thread->Context;
        return context == 0 ? CUresult.CUDA_ERROR_INVALID_CONTEXT : CUresult.CUDA_SUCCESS;
    }

    public static CUresult Put(ulong context, void* key, void* value, void* destructor)
    {
        CUresult result = Resolve(ref context);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (!Contexts.TryFind(context, out _, out _)) return CUresult.CUDA_ERROR_INVALID_CONTEXT;
        lock (Gate)
        {
            int at = Find(context, (ulong)key);
            if (at < 0)
            {
                at = s_count++;
                if (at == s_entries.Length) Array.Resize(ref s_entries, at * 2);
            }
            s_entries[at] = new Entry { Context = context, Key = (ulong)key, Value = value, Destructor = (delegate* unmanaged<CUcontext, void*, void*, void>)destructor };
        }
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>Removes without the destructor: callers free the value themselves.</summary>
    public static CUresult Delete(ulong context, void* key)
    {
        CUresult result = Resolve(ref context);
        if (result != CUresult.CUDA_SUCCESS) return result;
        lock (Gate)
        {
            int at = Find(context, (ulong)key);
            if (at < 0) return CUresult.CUDA_ERROR_INVALID_HANDLE;
            s_entries[at] = s_entries[--s_count];
        }
        return CUresult.CUDA_SUCCESS;
    }

    /// <returns>CUDA_ERROR_INVALID_HANDLE where there is none; <paramref name="value"/> is then untouched. cudart asks at the start of nearly every call.</returns>
    public static CUresult Get(void** value, ulong context, void* key)
    {
        CUresult result = Resolve(ref context);
        if (result != CUresult.CUDA_SUCCESS) return result;
        if (value == null) return CUresult.CUDA_ERROR_INVALID_VALUE;
        lock (Gate)
        {
            int at = Find(context, (ulong)key);
            if (at < 0) return CUresult.CUDA_ERROR_INVALID_HANDLE;
            *value = s_entries[at].Value;
        }
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>The context ends: takes its entries out, then runs their destructors (outside the lock, as they may call back).</summary>
    public static void EndContext(ulong context)
    {
        while (true)
        {
            Entry entry = default;
            lock (Gate)
            {
                for (int i = 0; i < s_count; i++)
                {
                    if (s_entries[i].Context != context) continue;
                    entry = s_entries[i];
                    s_entries[i] = s_entries[--s_count];
                    break;
                }
            }
            if (entry.Key == 0) return;
            if (entry.Destructor != null) entry.Destructor(new CUcontext(context), (void*)entry.Key, entry.Value);
        }
    }

    private static int Find(ulong context, ulong key)
    {
        for (int i = 0; i < s_count; i++) if (s_entries[i].Key == key && s_entries[i].Context == context) return i;
        return -1;
    }
}

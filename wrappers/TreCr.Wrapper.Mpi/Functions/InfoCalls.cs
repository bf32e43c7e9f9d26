using TreCr.Calls;

namespace TreCr.Wrapper.Mpi;

/// <summary>MPI-3.1 chapter 9: ordered pairs of texts.</summary>
[LocalExports(typeof(Library), "P")]
internal static unsafe class InfoCalls
{
    public static void MPI_Info_create(HandlePointer info) => info.Value = Handles.Add(new InfoObject());

    public static void MPI_Info_dup(InfoObject info, HandlePointer copy)
    {
        InfoObject made = new();
        made.Pairs.AddRange(info.Pairs);
        copy.Value = Handles.Add(made);
    }

    public static void MPI_Info_free(HandlePointer info)
    {
        Handles.Remove(InfoObject.From(info.Value));
        info.Value = Handles.Null<InfoObject>();
    }

    public static void MPI_Info_set(InfoObject info, byte* key, byte* value)
    {
        (string k, string v) = (Key(key), Text.Read(value));
        int at = info.Pairs.FindIndex(p => p.Key == k);
        if (at < 0) info.Pairs.Add((k, v));
        else info.Pairs[at] = (k, v);
    }

    private static string Key(byte* key)
    {
        string text = Text.Read(key);
        return text.Length is > 0 and < 256 ? text : throw new MpiException(ErrorClass.InfoKey, $"a key of {text.Length} characters");
    }

    public static void MPI_Info_delete(InfoObject info, byte* key)
    {
        string k = Key(key);
        if (info.Pairs.RemoveAll(p => p.Key == k) == 0) throw new MpiException(ErrorClass.InfoNoKey, $"no key {k}");
    }

    public static void MPI_Info_get(InfoObject info, byte* key, int valueLength, byte* value, int* flag)
    {
        string k = Key(key);
        int at = info.Pairs.FindIndex(p => p.Key == k);
        *flag = at < 0 ? 0 : 1;
        if (at >= 0) Text.Write(value, info.Pairs[at].Value, valueLength + 1);
    }

    public static void MPI_Info_get_valuelen(InfoObject info, byte* key, int* length, int* flag)
    {
        string k = Key(key);
        int at = info.Pairs.FindIndex(p => p.Key == k);
        *flag = at < 0 ? 0 : 1;
        if (at >= 0) *length = System.Text.Encoding.UTF8.GetByteCount(info.Pairs[at].Value);
    }

    /// <summary>The length in and out counts the NUL.</summary>
    public static void MPI_Info_get_string(InfoObject info, byte* key, int* length, byte* value, int* flag)
    {
        string k = Key(key);
        int at = info.Pairs.FindIndex(p => p.Key == k);
        *flag = at < 0 ? 0 : 1;
        if (at < 0) return;
        if (*length > 0) Text.Write(value, info.Pairs[at].Value, *length);
        *length = System.Text.Encoding.UTF8.GetByteCount(info.Pairs[at].Value) + 1;
    }

    /// <summary>What MPI_INFO_ENV would say: nothing of how a program was started is known here.</summary>
    public static void MPI_Info_create_env(int argc, nint argv, HandlePointer info) => MPI_Info_create(info);

    public static void MPI_Info_get_nkeys(InfoObject info, int* count) => *count = info.Pairs.Count;

    public static void MPI_Info_get_nthkey(InfoObject info, int index, byte* key)
    {
        if ((uint)index >= (uint)info.Pairs.Count) throw new MpiException(ErrorClass.Arg, $"key {index} of {info.Pairs.Count}");
        Text.Write(key, info.Pairs[index].Key, 256);
    }
}

/// <summary>An info object.</summary>
internal sealed class InfoObject : MpiObject
{
    public List<(string Key, string Value)> Pairs { get; } = [];

    public static InfoObject From(nint raw) => Handles.Get<InfoObject>(raw, ErrorClass.Info);

    /// <exception cref="MpiException">neither an info object nor MPI_INFO_NULL</exception>
    public static void Check(nint raw)
    {
        if (!Handles.IsNull<InfoObject>(raw)) From(raw);
    }

    public static void Define()
    {
        Handles.PredefineNull<InfoObject>("ompi_mpi_info_null", 0x1c000000);
        Handles.Predefine(new InfoObject(), "ompi_mpi_info_env", 0x5c000001);
    }
}

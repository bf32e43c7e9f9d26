using TreCr.Calls.Generator.Model;

namespace TreCr.Calls.Generator;

/// <summary>The program's side: encoders (<c>Send_NAME</c>) and exported stubs.</summary>
internal static partial class Emit
{
    private const string Runtime = "global::TreCr.Wrapper.Runtime.";

    public static string Exports(ConsumerModel consumer)
    {
        SpecModel spec = consumer.Spec;
        CodeWriter w = CodeWriter.File("Exported stubs and record encoders of " + spec.Name + ".");
        w.Namespace(consumer.Namespace);
        w.Open("unsafe partial class " + consumer.ClassName);
        foreach (CallModel call in spec.Calls)
        {
            if (!call.HasRecord) continue;
            if (!call.Internal && !call.Manual) Stub(w, call);
            Encoder(w, call, spec.Library);
        }
        w.Close();
        return w.ToString();
    }

    /// <summary>The functions that <see cref="Exports"/> exports.</summary>
    public static IEnumerable<ExportModel> ExportsOf(ConsumerModel consumer)
    {
        string path = "global::" + (consumer.Namespace.Length == 0 ? "" : consumer.Namespace + ".") + consumer.ClassName + ".";
        foreach (CallModel call in consumer.Spec.Calls)
        {
            if (!call.HasRecord || call.Internal || call.Manual) continue;
            yield return new ExportModel(call.Name, call.FunctionPointerType, path + call.Name);
            if (call.HasPerThreadVariant) yield return new ExportModel(call.Name + "_ptsz", call.FunctionPointerType, path + call.Name + "_ptsz");
        }
    }

    private static void Stub(CodeWriter w, CallModel call)
    {
        w.Line($"[global::System.Runtime.InteropServices.UnmanagedCallersOnly(EntryPoint = \"{call.Name}\")]");
        w.Open($"public static {call.ReturnType} {call.Name}({call.ParameterList})");
        w.Line($"{Runtime}ProgramThread* __thread = {Runtime}WrapperRuntime.Enter();");
        w.Line($"if (__thread == null) return {Runtime}WrapperRuntime.EnterError();");
        if (!call.NoContext) w.Line($"if (__thread->Context == 0) return {CUresult}.CUDA_ERROR_INVALID_CONTEXT;");
        w.Line($"return Send_{call.Name}(__thread, {call.ArgumentList});".Replace(", )", ")"));
        w.Close().Line();
        if (!call.HasPerThreadVariant) return;
        string stream = call.Parameters[call.Stream].Identifier;
        w.Line("/// <summary>Variant for programs whose default stream is per thread: stream 0 means CU_STREAM_PER_THREAD.</summary>");
        w.Line($"[global::System.Runtime.InteropServices.UnmanagedCallersOnly(EntryPoint = \"{call.Name}_ptsz\")]");
        w.Open($"public static {call.ReturnType} {call.Name}_ptsz({call.ParameterList})");
        w.Line($"{Runtime}ProgramThread* __thread = {Runtime}WrapperRuntime.Enter();");
        w.Line($"if (__thread == null) return {Runtime}WrapperRuntime.EnterError();");
        if (!call.NoContext) w.Line($"if (__thread->Context == 0) return {CUresult}.CUDA_ERROR_INVALID_CONTEXT;");
        w.Line($"if ({stream}.Value == 0) {stream} = new {call.Parameters[call.Stream].Type}(2);");
        w.Line($"return Send_{call.Name}(__thread, {call.ArgumentList});");
        w.Close().Line();
    }

    private static void Encoder(CodeWriter w, CallModel call, string library)
    {
        int count = call.Parameters.Count, head = 48 + 8 * count;
        bool payload = call.Parameters.Any(IsByteRole), outBytes = call.Parameters.Any(p => p.Role == ParameterRole.OutBytes);
        bool remote = call.Parameters.Any(p => p.Role is ParameterRole.InBytes or ParameterRole.OutBytes);
        bool enqueues = call.Class == "Enqueue" || call.Manual;
        w.Line($"/// <summary>Record of {call.Name}, call {Parse.Hex(call.Id)}, {call.Class}. Does not allocate.</summary>");
        if (call.Manual) w.Line("/// <param name=\"__class\">whether to wait; Enqueue leaves the Out values alone</param>");
        if (call.Manual && remote) w.Line("/// <param name=\"__remote\">bit n: argument n is sent as an address of the program, whatever its length</param>");
        string extra = call.Manual ? $", {Ns}CallClass __class" : "";
        if (call.Manual && remote) extra += ", uint __remote";
        w.Line("[global::System.Runtime.CompilerServices.SkipLocalsInit]");
        w.Open($"internal static {call.ReturnType} Send_{call.Name}({Runtime}ProgramThread* __thread{extra}{(count > 0 ? ", " : "")}{call.ParameterList})");
        // NULL checks and lengths.
        foreach (ParameterModel p in call.Parameters)
        {
            string id = p.Identifier;
            if (p.Role is ParameterRole.Out or ParameterRole.In or ParameterRole.InString && !p.Optional && p.IsPointer)
            {
                if (!p.Optional) w.Line($"if ({id} == null) return {CUresult}.CUDA_ERROR_INVALID_VALUE;");
            }
            else if (p.Role == ParameterRole.Handle)
                w.Line($"if ({(p.IsStream ? id + ".Value > 2 && " : "")}{id}.Value >> 48 != (ulong){Ns}HandleKind.{p.HandleKind}) return {BadHandle(p)};");
            else if (p.Role is ParameterRole.InBytes or ParameterRole.OutBytes)
                w.Line($"if ({id} == null && {call.Parameters[p.Length].Identifier} != 0) return {CUresult}.CUDA_ERROR_INVALID_VALUE;");
        }
        // Copies that the delegator carries out by hand wait for their stream when their caller waits.
        ParameterModel[] handles = enqueues && !call.ManualDispatch ? [.. call.Parameters.Where(p => p.Role == ParameterRole.Handle)] : [];
        if (handles.Length > 0) w.Line($"int __epoch = {Runtime}Proven.HandleEpoch;");
        if (remote && !call.Manual) w.Line("uint __remote = 0;");
        if (payload) w.Line("int __payload = 0;");
        for (int i = 0; i < count; i++)
        {
            ParameterModel p = call.Parameters[i];
            string id = p.Identifier;
            switch (p.Role)
            {
                case ParameterRole.In:
                    w.Line($"int __at{i} = {head} + __payload;");
                    w.Line(p.Optional ? $"if ({id} == null) __at{i} = 0; else __payload += (sizeof({p.ElementType}) + 7) & ~7;" : $"__payload += (sizeof({p.ElementType}) + 7) & ~7;");
                    break;
                case ParameterRole.InString:
                    w.Line($"int __length{i} = {Runtime}WrapperRuntime.TextLength((byte*){id}, {Records}RecordLimits.MaxInlineBytes);");
                    w.Line($"if (__length{i} < 0) return {CUresult}.CUDA_ERROR_INVALID_VALUE;");
                    w.Line($"int __at{i} = {head} + __payload;");
                    w.Line($"__payload += (__length{i} + 8) & ~7;");
                    break;
                case ParameterRole.InBytes:
                    w.Line($"nuint __length{i} = (nuint){call.Parameters[p.Length].Identifier};");
                    w.Line($"if (__length{i} > {Records}RecordLimits.MaxInlineBytes) __remote |= 1u << {i};");
                    w.Line($"int __at{i} = {head} + __payload;");
                    w.Line($"if ((__remote & 1u << {i}) == 0) __payload += ((int)__length{i} + 7) & ~7;");
                    break;
            }
        }
        if (outBytes)
        {
            w.Line("nuint __room = " + Records + "RecordLimits.AnswerBytes" + string.Concat(call.Parameters.Where(p => p.Role == ParameterRole.Out)
                .Select(p => $" - (nuint)((sizeof({p.ElementType}) + 7) & ~7)")) + ";");
            for (int i = 0; i < count; i++)
            {
                ParameterModel p = call.Parameters[i];
                if (p.Role != ParameterRole.OutBytes) continue;
                string length = call.Parameters[p.Length].Identifier;
                w.Line($"if ((__remote & 1u << {i}) == 0 && ((nuint){length} + 7 & ~(nuint)7) <= __room) __room -= (nuint){length} + 7 & ~(nuint)7; else __remote |= 1u << {i};");
            }
        }
        w.Line(payload ? $"int __bytes = {Records}RecordHeader.Round({head} + __payload);" : $"const int __bytes = {(head + 15) & ~15};");
        if (payload) w.Line($"if (__bytes > {Records}RecordLimits.MaxRecordBytes) return {CUresult}.CUDA_ERROR_INVALID_VALUE;");
        w.Line("byte* __record = __thread->Channel.Begin(__bytes);");
        w.Line($"if (__record == null) return {Runtime}WrapperRuntime.Lost();");
        string word = $"0x{call.Id:x4} | (uint){Ns}Library.{library} << 16";
        w.Line($"{Records}RecordHeader.Write(__record, __bytes, {word}, __thread->Context, {count}, {(remote ? "__remote" : "0")}, {(payload ? "__payload" : "0")});");
        if (count > 0) w.Line($"ulong* __words = (ulong*)(__record + {Records}RecordHeader.SizeBytes);");
        for (int i = 0; i < count; i++)
        {
            ParameterModel p = call.Parameters[i];
            string id = p.Identifier;
            switch (p.Role)
            {
                case ParameterRole.Out:
                    w.Line(p.Optional ? $"__words[{i}] = {id} == null ? 0u : 1u;" : $"__words[{i}] = 1;");
                    break;
                case ParameterRole.In:
                    w.Line($"__words[{i}] = (uint)__at{i};");
                    w.Line((p.Optional ? $"if ({id} != null) " : "") + $"*({p.ElementType}*)(__record + __at{i}) = *{id};");
                    break;
                case ParameterRole.InString:
                    w.Line($"__words[{i}] = (uint)__at{i};");
                    w.Line($"global::System.Buffer.MemoryCopy({id}, __record + __at{i}, __length{i} + 1, __length{i} + 1);");
                    break;
                case ParameterRole.InBytes:
                    w.Line($"__words[{i}] = (__remote & 1u << {i}) != 0 ? (ulong){id} : {id} == null ? 0u : (uint)__at{i};");
                    w.Line($"if ((__remote & 1u << {i}) == 0) global::System.Buffer.MemoryCopy({id}, __record + __at{i}, __length{i}, __length{i});");
                    break;
                case ParameterRole.OutBytes:
                    w.Line($"__words[{i}] = (__remote & 1u << {i}) != 0 ? (ulong){id} : {id} == null ? 0u : 1u;");
                    break;
                default:
                    w.Line($"__words[{i}] = {ToWord(p, id)};");
                    break;
            }
        }
        if (enqueues)
        {
            bool mayBeLong = call.Class == "Enqueue" && remote && !call.Manual;
            List<string> conditions = [.. handles.Select(p => $"__thread->Proven.Knows({p.Identifier}.Value)")];
            if (call.Manual) conditions.Insert(0, $"__class == {Ns}CallClass.Enqueue");
            else if (mayBeLong) conditions.Insert(0, "__remote == 0");
            string condition = conditions.Count > 0 ? $"if ({string.Join(" && ", conditions)})" : "";
            if (mayBeLong) w.Line("// Bytes that did not fit stay in the program until the delegator has fetched them: then the caller waits.");
            if (condition.Length != 0) w.Open(condition);
            w.Line($"__thread->Channel.Publish(({Records}RecordHeader*)__record);");
            w.Line($"return {CUresult}.CUDA_SUCCESS;");
            if (condition.Length != 0) w.Close();
        }
        if (!enqueues || call.Manual || remote || handles.Length > 0) Wait(w, call, handles);
        w.Close().Line();
    }

    private static void Wait(CodeWriter w, CallModel call, ParameterModel[] handles)
    {
        w.Line($"if (__thread->Channel.Call(({Records}RecordHeader*)__record) != global::TreCr.Ring.WaitResult.Done) return {Runtime}WrapperRuntime.Lost();");
        w.Line($"{call.ReturnType} __result = ({call.ReturnType})__thread->Channel.Header->AnswerResult;");
        if (call.Parameters.Any(p => p.Role is ParameterRole.Out or ParameterRole.OutBytes))
        {
            w.Open($"if (__result == {CUresult}.CUDA_SUCCESS)");
            w.Line("byte* __answer = (byte*)__thread->Channel.Header + global::TreCr.Ring.ChannelHeader.AnswerOffset;");
            string offset = "";
            foreach (ParameterModel p in call.Parameters.Where(p => p.Role == ParameterRole.Out))
            {
                string at = offset.Length == 0 ? "__answer" : "(__answer" + offset + ")";
                w.Line((p.Optional ? $"if ({p.Identifier} != null) " : "") + $"*{p.Identifier} = *({p.ElementType}*){at};");
                offset += $" + ((sizeof({p.ElementType}) + 7) & ~7)";
            }
            int index = -1;
            if (offset.Length != 0 && call.Parameters.Any(p => p.Role == ParameterRole.OutBytes)) w.Line($"__answer = __answer{offset};");
            foreach (ParameterModel p in call.Parameters)
            {
                index++;
                if (p.Role != ParameterRole.OutBytes) continue;
                string length = "(nuint)" + call.Parameters[p.Length].Identifier;
                w.Open($"if ((__remote & 1u << {index}) == 0)");
                w.Line($"global::System.Buffer.MemoryCopy(__answer, {p.Identifier}, {length}, {length});");
                w.Line($"__answer += {length} + 7 & ~(nuint)7;");
                w.Close();
            }
            w.Close();
        }
        if (call.Destroys >= 0)
        {
            string kind = call.Parameters[call.Destroys].HandleKind;
            if (kind.Length != 0) w.Line($"{Runtime}Proven.ForgetHandles();");
            if (kind is "" or "Module" or "Context") w.Line($"{Runtime}Proven.ForgetMemory();"); // with modules and contexts goes memory too
        }
        foreach (ParameterModel p in handles) w.Line($"if (__result == {CUresult}.CUDA_SUCCESS) __thread->Proven.LearnHandle(__epoch, {p.Identifier}.Value);");
        w.Line("return __result;");
    }
}

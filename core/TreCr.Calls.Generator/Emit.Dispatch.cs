using TreCr.Calls.Generator.Model;

namespace TreCr.Calls.Generator;

/// <summary>The delegator's side: a record from the program is checked, translated and run.</summary>
internal static partial class Emit
{
    public static string Dispatch(ConsumerModel consumer)
    {
        SpecModel spec = consumer.Spec;
        CodeWriter w = CodeWriter.File("Dispatch of " + spec.Name + ". Every word of a record comes from the program and may be anything.");
        w.Namespace(consumer.Namespace);
        w.Open("unsafe partial class " + consumer.ClassName);
        w.Line("/// <summary>Runs a record of this table.</summary>");
        w.Line("/// <param name=\"record\">a private copy: the program cannot change it any more; RecordBytes of it are readable</param>");
        w.Line("/// <returns>false: the call is of another table, nothing was done</returns>");
        w.Open($"public static bool TryDispatch({spec.FullName} backend, {Dispatching}IDispatchSession session, {Records}RecordHeader* record, ref {Dispatching}AnswerWriter answer, out {CUresult} result)");
        w.Line($"result = {CUresult}.CUDA_ERROR_INVALID_VALUE;");
        w.Line($"if (record->Library != {Ns}Library.{spec.Library}) return false;");
        w.Open("switch (record->Call)");
        foreach (CallModel call in spec.Calls)
            if (call.HasRecord) w.Line($"case {Parse.Hex(call.Id)}: result = Run_{call.Name}(backend, session, record, ref answer); return true;");
        w.Line("default: return false;");
        w.Close();
        w.Close().Line();
        foreach (CallModel call in spec.Calls) if (call.HasRecord) Run(w, call, spec);
        w.Line("private static " + CUresult + " Malformed(" + Dispatching + "IDispatchSession session, " + Records + "RecordHeader* record, string reason)");
        w.Open();
        w.Line("session.Malformed(record, reason);");
        w.Line($"return {CUresult}.CUDA_ERROR_INVALID_VALUE;");
        w.Close();
        w.Close();
        return w.ToString();
    }

    private static void Run(CodeWriter w, CallModel call, SpecModel spec)
    {
        int count = call.Parameters.Count, head = 48 + 8 * count;
        if (call.ManualDispatch)
        {
            w.Line($"/// <summary>Hand-written part of {call.Name}: arguments are checked, handles translated.</summary>");
            w.Line($"private static partial {call.ReturnType} {call.Name}({spec.FullName} backend, {Dispatching}IDispatchSession session, {Records}RecordHeader* record, "
                + string.Concat(call.Parameters.Select(p => ManualType(p) is { Length: > 0 } t ? t + " " + p.Identifier + ", " : "")) + $"ref {Dispatching}AnswerWriter answer);").Line();
        }
        w.Open($"private static {call.ReturnType} Run_{call.Name}({spec.FullName} backend, {Dispatching}IDispatchSession session, {Records}RecordHeader* record, ref {Dispatching}AnswerWriter answer)");
        w.Line($"if (record->ArgumentCount != {count} || record->RecordBytes < {head}) return Malformed(session, record, \"argument count\");");
        if (count > 0) w.Line($"ulong* __words = (ulong*)((byte*)record + {Records}RecordHeader.SizeBytes);");
        // Values first: lengths stand among them.
        for (int i = 0; i < count; i++)
        {
            ParameterModel p = call.Parameters[i];
            if (p.Role is ParameterRole.Value or ParameterRole.ProgramAddress) w.Line($"{p.ElementType} __{i} = {FromWord(p, $"__words[{i}]")};");
            if (p.Role != ParameterRole.Handle) continue;
            w.Line($"if (!session.TryTranslate({Ns}HandleKind.{p.HandleKind}, __words[{i}], out ulong __real{i})) return {BadHandle(p)};");
            w.Line($"{p.ElementType} __{i} = new {p.ElementType}(__real{i});");
        }
        for (int i = 0; i < count; i++) Bytes(w, call, i, head);
        string arguments = string.Join(", ", call.Parameters.Select((p, i) => p.Role == ParameterRole.Out ? $"&__{i}" : p.Role == ParameterRole.Value || p.Role == ParameterRole.Handle
            || p.Role == ParameterRole.ProgramAddress ? $"__{i}" : $"({p.Type})__{i}"));
        if (call.ManualDispatch)
        {
            string manual = string.Concat(call.Parameters.Select((p, i) => ManualType(p).Length > 0 ? (p.Role == ParameterRole.In ? $"({p.Type})__{i}, " : $"__{i}, ") : ""));
            w.Line($"return {call.Name}(backend, session, record, {manual}ref answer);");
            w.Close().Line();
            return;
        }
        w.Line($"{call.ReturnType} __result = backend.{call.Name}({arguments});");
        w.Line($"if (__result != {CUresult}.CUDA_SUCCESS) return __result;");
        for (int i = 0; i < count; i++)
        {
            ParameterModel p = call.Parameters[i];
            if (p.Role != ParameterRole.Out) continue;
            if (i == call.Creates && p.HandleKind.Length != 0)
                w.Line($"__{i} = new {p.ElementType}(session.Register(record, {Ns}HandleKind.{p.HandleKind}, __{i}.Value));");
            w.Line($"answer.Write(__{i});");
        }
        for (int i = 0; i < count; i++)
        {
            ParameterModel p = call.Parameters[i];
            if (p.Role != ParameterRole.OutBytes) continue;
            w.Open($"if (__{i} != null)");
            w.Line($"if ((record->RemoteMask & 1u << {i}) == 0) answer.TryWrite(__{i}, __length{i});");
            w.Line($"else if (!session.Deliver(__words[{i}], __{i}, __length{i})) return {CUresult}.CUDA_ERROR_INVALID_VALUE;");
            w.Close();
        }
        if (call.Creates >= 0)
        {
            ParameterModel p = call.Parameters[call.Creates];
            if (p.HandleKind.Length != 0) w.Line($"session.LogCreate(record, {Ns}HandleKind.{p.HandleKind}, __{call.Creates}.Value, ref answer);");
            else w.Line($"session.LogCreate(record, {Ns}HandleKind.None, __{call.Creates}{(p.Wraps.Length != 0 ? ".Value" : "")}, ref answer);");
        }
        else if (call.Destroys >= 0)
        {
            ParameterModel p = call.Parameters[call.Destroys];
            string kind = p.HandleKind.Length != 0 ? p.HandleKind : "None";
            if (p.HandleKind.Length != 0) w.Line($"session.Unregister({Ns}HandleKind.{kind}, __words[{call.Destroys}]);");
            w.Line($"session.LogDestroy(record, {Ns}HandleKind.{kind}, __words[{call.Destroys}]);");
        }
        else if (call.Logged) w.Line("session.LogSetting(record);");
        w.Line("return __result;");
        w.Close().Line();
    }

    private static void Bytes(CodeWriter w, CallModel call, int i, int head)
    {
        ParameterModel p = call.Parameters[i];
        string malformed = $"return Malformed(session, record, \"{p.Name}\");";
        switch (p.Role)
        {
            case ParameterRole.Out:
                if (!call.ManualDispatch) w.Line($"{p.ElementType} __{i} = default;");
                break;
            case ParameterRole.In:
                w.Line($"byte* __{i} = null;");
                w.Line(p.Optional ? $"if (__words[{i}] != 0)" : "");
                w.Open();
                w.Line($"if (__words[{i}] < {head} || (__words[{i}] & 7) != 0 || __words[{i}] > record->RecordBytes || record->RecordBytes - __words[{i}] < (ulong)sizeof({p.ElementType})) {malformed}");
                w.Line($"__{i} = (byte*)record + __words[{i}];");
                w.Close();
                break;
            case ParameterRole.InString:
                w.Line($"if (__words[{i}] < {head} || __words[{i}] >= record->RecordBytes) {malformed}");
                w.Line($"byte* __{i} = (byte*)record + __words[{i}];");
                w.Line($"if (!new global::System.ReadOnlySpan<byte>(__{i}, (int)(record->RecordBytes - __words[{i}])).Contains((byte)0)) {malformed}");
                break;
            case ParameterRole.InBytes:
                w.Line($"nuint __length{i} = (nuint)__{p.Length};");
                w.Line($"bool __remote{i} = (record->RemoteMask & 1u << {i}) != 0;");
                w.Line($"if (!__remote{i} && __words[{i}] != 0 && (__words[{i}] < {head} || __words[{i}] > record->RecordBytes || record->RecordBytes - __words[{i}] < __length{i})) {malformed}");
                w.Line($"if (__words[{i}] == 0 && __length{i} != 0) {malformed}");
                w.Line($"{Dispatching}ByteSource __source{i} = new({i}, __remote{i} || __words[{i}] == 0 ? null : (byte*)record + __words[{i}], __remote{i} ? __words[{i}] : 0, __length{i});");
                if (call.ManualDispatch) w.Line($"{Dispatching}ByteSource __{i} = __source{i};");
                else
                {
                    w.Line($"byte* __{i} = __source{i}.Resolve(session);");
                    w.Line($"if (__{i} == null && !__source{i}.IsNull) return {CUresult}.CUDA_ERROR_INVALID_VALUE;");
                }
                break;
            case ParameterRole.OutBytes:
                w.Line($"nuint __length{i} = (nuint)__{p.Length};");
                w.Line($"bool __remote{i} = (record->RemoteMask & 1u << {i}) != 0;");
                w.Line($"if (!__remote{i} && __words[{i}] > 1 || !__remote{i} && __length{i} > {Records}RecordLimits.AnswerBytes) {malformed}");
                if (call.ManualDispatch) w.Line($"{Dispatching}ByteTarget __{i} = new(__remote{i} ? __words[{i}] : 0, __length{i}, __words[{i}] == 0);");
                else
                {
                    w.Line($"byte* __{i} = __words[{i}] == 0 ? null : session.Scratch(__length{i});");
                    w.Line($"if (__{i} == null && __length{i} != 0) return {CUresult}.CUDA_ERROR_INVALID_VALUE;");
                }
                break;
        }
    }

    /// <summary>Type under which a hand-written dispatch gets a parameter; empty: it does not (Out values are written to the answer).</summary>
    private static string ManualType(ParameterModel p) => p.Role switch
    {
        ParameterRole.Out => "",
        ParameterRole.InBytes => Dispatching + "ByteSource",
        ParameterRole.OutBytes => Dispatching + "ByteTarget",
        ParameterRole.InString => "byte*",
        _ => p.Type,
    };
}

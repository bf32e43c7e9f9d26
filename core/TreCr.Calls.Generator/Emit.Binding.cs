using TreCr.Calls.Generator.Model;

namespace TreCr.Calls.Generator;

/// <summary>An implementation of a spec that calls the real library.</summary>
internal static partial class Emit
{
    public static string Binding(ConsumerModel consumer)
    {
        SpecModel spec = consumer.Spec;
        CallModel[] calls = [.. spec.Calls.Where(c => !c.Name.StartsWith("trecr", StringComparison.Ordinal) && !consumer.Members.Contains(c.Name))];
        CodeWriter w = CodeWriter.File("Binding of " + spec.Name + " to the real library.");
        w.Namespace(consumer.Namespace);
        w.Open("unsafe partial class " + consumer.ClassName + " : " + spec.FullName);
        foreach (CallModel call in calls) w.Line($"private readonly {call.FunctionPointerType} _{call.Name} = ({call.FunctionPointerType})Resolve(\"{call.Name}\");");
        w.Line();
        foreach (CallModel call in calls)
        {
            w.Line($"public {call.ReturnType} {call.Name}({call.ParameterList})");
            w.Line($"    => _{call.Name} == null ? {CUresult}.CUDA_ERROR_NOT_SUPPORTED : _{call.Name}({call.ArgumentList});").Line();
        }
        w.Close();
        return w.ToString();
    }
}

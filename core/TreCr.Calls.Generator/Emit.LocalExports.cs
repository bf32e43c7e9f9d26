using TreCr.Calls.Generator.Model;

namespace TreCr.Calls.Generator;

/// <summary>Exported functions of calls that the program carries out itself.</summary>
internal static partial class Emit
{
    public static string LocalExports(LocalExportsModel model)
    {
        CodeWriter w = CodeWriter.File("Exported functions of " + model.ClassName + ".");
        w.Namespace(model.Namespace);
        w.Open("internal static unsafe class " + model.ClassName + "Exports");
        foreach (LocalCallModel call in model.Calls)
        {
            string parameters = string.Join(", ", call.Parameters.Select(p => p.RawType + " " + p.Name)), arguments = string.Join(", ", call.Parameters.Select(p => p.Name));
            string type = call.ReturnType.Length == 0 ? "int" : call.ReturnType;
            if (model.IsFortran) FortranNames(w, call, parameters, arguments);
            else foreach (string name in new[] { call.Name, model.Prefix + call.Name }.Distinct())
            {
                w.Line($"[global::System.Runtime.InteropServices.UnmanagedCallersOnly(EntryPoint = \"{name}\")]");
                w.Line($"public static {type} {name}({parameters}) => Do_{call.Name}({arguments});").Line();
            }
            LocalCall(w, model, call, type, parameters);
        }
        w.Close();
        return w.ToString();
    }

    /// <summary>Compilers write one name in four ways; ompi_NAME_f is what Open MPI's module mpi_f08 calls.</summary>
    private static void FortranNames(CodeWriter w, LocalCallModel call, string parameters, string arguments)
    {
        foreach (string name in new[] { call.Name, "p" + call.Name })
        foreach (string spelling in new[] { name, name + "_", name + "__", name.ToUpperInvariant() }.Concat(name == call.Name ? ["o" + name + "_f"] : []))
        {
            w.Line($"[global::System.Runtime.InteropServices.UnmanagedCallersOnly(EntryPoint = \"{spelling}\")]");
            w.Line($"public static void Fortran_{spelling}({parameters}, int* @ierror)");
            w.Line("{");
            w.Line($"    int __error = Do_{call.Name}({arguments});");
            w.Line("    if (@ierror != null) *@ierror = __error;");
            w.Line("}").Line();
        }
    }

    private static void LocalCall(CodeWriter w, LocalExportsModel model, LocalCallModel call, string type, string parameters)
    {
        string operation = call.Operation.Length == 0 ? "" : $".{call.Operation}({Converted(call, ofOperation: true)})";
        LocalParameterModel[] owners = [.. call.Parameters.Where(p => p.OwnsErrors)];
        w.Open($"private static {type} Do_{call.Name}({parameters})");
        if (call.ReturnType.Length > 0) w.Line($"return {model.ClassName}.{call.Method}({Converted(call, ofOperation: false)});");
        else
        {
            foreach (LocalParameterModel c in owners) w.Line($"{c.Converted}? __c_{c.Name.Substring(1)} = null;");
            string first = owners.Length > 0 ? "__c_" + owners[0].Name.Substring(1) : "null";
            w.Open("try");
            w.Line($"{model.Runtime}.Enter(\"{call.Name}\");");
            foreach (LocalParameterModel c in owners) w.Line($"__c_{c.Name.Substring(1)} = {c.Converted}.From({c.Name});");
            w.Line($"{model.ClassName}.{call.Method}({Converted(call, ofOperation: false)}){operation};");
            w.Line("return 0;");
            w.Close();
            w.Line($"catch (global::System.Exception __e) {{ return {model.Runtime}.Failed(__e, {first}); }}");
            w.Line($"finally {{ {model.Runtime}.Leave(); }}");
        }
        w.Close().Line();
    }

    private static string Converted(LocalCallModel call, bool ofOperation) => string.Join(", ", call.Parameters.Where(p => p.IsOfOperation == ofOperation)
        .Select(p => p.Converted.Length == 0 ? p.Name : p.OwnsErrors ? "__c_" + p.Name.Substring(1) : $"{p.Converted}.{p.Conversion}({p.Name})"));

    public static string RefusedExports(RefusedExportsModel model, string[] names)
    {
        CodeWriter w = CodeWriter.File("Functions that are refused by name.");
        w.Namespace(model.Namespace);
        w.Open("static partial class " + model.ClassName);
        foreach (string name in names)
        foreach (string exported in new[] { name, model.Prefix + name })
        {
            w.Line($"[global::System.Runtime.InteropServices.UnmanagedCallersOnly(EntryPoint = \"{exported}\")]");
            w.Line($"public static int {exported}() => {model.Runtime}.NotSupported(\"{name}\");").Line();
        }
        w.Close();
        return w.ToString();
    }
}

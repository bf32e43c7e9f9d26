using System.Reflection;

namespace TreCr.SoftDevice.Emit;

/// <summary>Types, methods and fields as text, and back in another process of the same build.</summary>
static class MemberNames
{
    const BindingFlags All = BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
    const char Between = '|';

    public static string Of(Type type) => type.AssemblyQualifiedName ?? throw new ArgumentException($"{type} has no name");

    /// <summary>Owner, name, number of generic arguments, these, parameters; of a field: owner and name.</summary>
    public static string Of(MemberInfo member)
    {
        if (member is not MethodInfo m) return string.Join(Between, Of(member.DeclaringType!), member.Name);
        Type[] arguments = m.GetGenericArguments();
        return string.Join(Between, [Of(m.DeclaringType!), m.Name, $"{arguments.Length}", .. arguments.Select(Of), .. m.GetParameters().Select(p => Of(p.ParameterType))]);
    }

    /// <exception cref="InvalidDataException">This build has no such type.</exception>
    public static Type FindType(string name) => Type.GetType(name) ?? throw new InvalidDataException($"no type {name}");

    /// <exception cref="InvalidDataException">This build has no such member.</exception>
    public static MemberInfo Find(string text)
    {
        string[] words = text.Split(Between);
        Type owner = FindType(words[0]);
        if (words.Length == 2) return owner.GetField(words[1], All) ?? throw new InvalidDataException($"no field {text}");
        int generic = int.Parse(words[2], System.Globalization.CultureInfo.InvariantCulture);
        Type[] arguments = [.. words.Skip(3).Take(generic).Select(FindType)], parameters = [.. words.Skip(3 + generic).Select(FindType)];
        foreach (MethodInfo m in owner.GetMethods(All))
        {
            if (m.Name != words[1] || m.GetGenericArguments().Length != generic || m.GetParameters().Length != parameters.Length) continue;
            MethodInfo closed = generic == 0 ? m : m.MakeGenericMethod(arguments);
            if (closed.GetParameters().Select(p => p.ParameterType).SequenceEqual(parameters)) return closed;
        }
        throw new InvalidDataException($"no method {text}");
    }
}

using System.Reflection;
using System.Runtime.Intrinsics;

namespace TreCr.SoftDevice.Emit;

/// <summary>The vectors that a kernel's code for groups is made of: the type, the library's operations on it, and PTX's.</summary>
/// <param name="bytes">32 or 64</param>
/// <param name="vector">the open generic type</param><param name="owner">the class with the library's operations</param><param name="math">the class with PTX's operations, methods by name</param>
sealed class VectorWidth(int bytes, Type vector, Type owner, Type math)
{
    /// <summary>AVX2.</summary>
    public static readonly VectorWidth Narrow = new(32, typeof(Vector256<>), typeof(Vector256), typeof(VectorMath));
    /// <summary>AVX-512.</summary>
    public static readonly VectorWidth Wide = new(64, typeof(Vector512<>), typeof(Vector512), typeof(WideMath));

    /// <summary>The widest vectors that code may use, bytes: 64 where the machine has them, else 32 (TRECR_SOFT_SIMD=256 says 32 anywhere).</summary>
    internal static int MostBytes { get; set; } = Environment.GetEnvironmentVariable("TRECR_SOFT_SIMD") == "256" ? 32 : MachineBytes;

    /// <summary>The widest vectors of this machine, bytes; 0: not even AVX2's.</summary>
    internal static int MachineBytes => WideMath.IsSupported ? 64 : VectorMath.IsSupported ? 32 : 0;

    /// <summary>For groups of so many threads: the widest of which one is not more than their 32-bit values.</summary>
    public static VectorWidth For(int lanes) => MostBytes >= 64 && lanes * 4 >= 64 ? Wide : Narrow;

    public int Bytes => bytes;
    readonly Dictionary<string, MethodInfo> helpers = math.GetMethods(BindingFlags.Static | BindingFlags.Public).Where(m => m.DeclaringType == math && !m.IsSpecialName).ToDictionary(m => m.Name);
    readonly Dictionary<string, MethodInfo> known = [];

    public Type Of(Type element) => vector.MakeGenericType(element);

    /// <summary>PTX's operation of that name; null where there is none.</summary>
    public MethodInfo? Helper(string name) => helpers.GetValueOrDefault(name);

    /// <summary>A static method of the library's class for this width.</summary>
    /// <param name="element">what its one generic parameter is; null: it has none</param>
    public MethodInfo Method(string name, Type? element, params Type[] parameters)
    {
        string key = $"{name}<{element?.Name}>({string.Join<Type>(",", parameters)})";
        lock (known)
        {
            if (known.TryGetValue(key, out MethodInfo? found)) return found;
            foreach (MethodInfo m in owner.GetMethods(BindingFlags.Public | BindingFlags.Static))
            {
                if (m.Name != name || m.IsGenericMethodDefinition != element is not null || element is not null && m.GetGenericArguments().Length != 1) continue;
                MethodInfo closed = element is null ? m : m.MakeGenericMethod(element);
                if (closed.GetParameters().Select(p => p.ParameterType).SequenceEqual(parameters)) return known[key] = closed;
            }
        }
        throw new InvalidOperationException($"no method {owner.Name}.{key}");
    }

    /// <summary>The same bits as a vector of other elements.</summary>
    public MethodInfo Reinterpret(Type from, Type to)
    {
        string key = $"As<{from.Name},{to.Name}>";
        lock (known)
        {
            if (!known.TryGetValue(key, out MethodInfo? m)) known[key] = m = owner.GetMethods().First(x => x.Name == "As" && x.GetGenericArguments().Length == 2).MakeGenericMethod(from, to);
            return m;
        }
    }
}

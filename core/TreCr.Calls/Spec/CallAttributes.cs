namespace TreCr.Calls;

/// <summary>Does the exported stub wait, and for what (design.md §3)?</summary>
public enum CallClass : byte
{
    /// <summary>Answered in the wrapper from cached facts; there is no record.</summary>
    Local,

    /// <summary>Fire and forget: the wrapper has checked what the driver checks before it accepts.</summary>
    Enqueue,

    /// <summary>Waits for a result that comes soon.</summary>
    Answer,

    /// <summary>A wait that may last for ever; the delegator runs it on the channel's partner thread.</summary>
    Blocking,
}

/// <summary>Library whose names an interface declares.</summary>
public enum Library : byte { Cuda, Nccl, Mpi }

/// <summary>Marks an interface whose methods are calls of a library: the spec from which exports, records and dispatch are generated.</summary>
[AttributeUsage(AttributeTargets.Interface)]
public sealed class CallTableAttribute(Library library) : Attribute
{
    public Library Library => library;
}

/// <summary>One call. The method has the C name, signature and ABI of the exported function.</summary>
/// <param name="id">number in records and logs, unique in the library, never reused (calls.lock)</param>
/// <param name="callClass">what the stub does; with <see cref="ManualAttribute"/> the usual case</param>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CallAttribute(ushort id, CallClass callClass) : Attribute
{
    public ushort Id => id;
    public CallClass Class => callClass;

    /// <summary>True: never exported to the program, used between wrapper and delegator only.</summary>
    public bool Internal { get; set; }

    /// <summary>True: the record and its answer go into the log, although nothing is created or destroyed (a setting that replay repeats).</summary>
    public bool Logged { get; set; }

    /// <summary>True: works without a current context. Other calls answer CUDA_ERROR_INVALID_CONTEXT in the wrapper when the thread has none.</summary>
    public bool NoContext { get; set; }
}

/// <summary>The struct is a handle of this kind: virtual in the program and in records, the back end's own behind the dispatch.</summary>
[AttributeUsage(AttributeTargets.Struct)]
public sealed class HandleAttribute(HandleKind kind) : Attribute
{
    public HandleKind Kind => kind;
}

/// <summary>
/// The exported stub is hand-written (file Manual/FAMILY.cs of the wrapper) and uses the generated encoder <c>Send_NAME</c>; the dispatch is still generated unless
/// <see cref="Dispatch"/>.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ManualAttribute(string reason) : Attribute
{
    public string Reason => reason;

    /// <summary>True: the delegator's side is hand-written too: a partial method of the dispatch class, called with checked and translated arguments.</summary>
    public bool Dispatch { get; set; }
}

/// <summary>The call brings an object to life; its virtual handle (or address) is what the named out parameter receives, or the program address that it names (cuMemHostRegister).</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CreatesAttribute(string parameter) : Attribute
{
    public string Parameter => parameter;
}

/// <summary>The call ends the object named by the parameter; its records leave the log.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class DestroysAttribute(string parameter) : Attribute
{
    public string Parameter => parameter;
}

/// <summary>
/// Pointer to one value that the call writes. NULL is CUDA_ERROR_INVALID_VALUE unless <see cref="Optional"/>.
/// The program's variable is written only when the call succeeds.
/// </summary>
[AttributeUsage(AttributeTargets.Parameter)]
public sealed class OutAttribute : Attribute
{
    public bool Optional { get; set; }
}

/// <summary>Pointer to one struct that the call reads.</summary>
[AttributeUsage(AttributeTargets.Parameter)]
public sealed class InAttribute : Attribute
{
    public bool Optional { get; set; }
}

/// <summary>Pointer to bytes that the call reads; the length is another parameter's value.</summary>
[AttributeUsage(AttributeTargets.Parameter)]
public sealed class InBytesAttribute(string length) : Attribute
{
    public string Length => length;
}

/// <summary>Pointer to bytes that the call writes; the length is another parameter's value.</summary>
[AttributeUsage(AttributeTargets.Parameter)]
public sealed class OutBytesAttribute(string length) : Attribute
{
    public string Length => length;
}

/// <summary>NUL-terminated text that the call reads.</summary>
[AttributeUsage(AttributeTargets.Parameter)]
public sealed class InStringAttribute : Attribute;

/// <summary>An address in the program that is carried as a number and never read by the delegator (user data, host functions).</summary>
[AttributeUsage(AttributeTargets.Parameter)]
public sealed class ProgramAddressAttribute : Attribute;

/// <summary>Asks the generator for the exported stubs of a spec: <c>[ExportsOf(typeof(ICudaStream))] static unsafe partial class CudaStreamExports;</c></summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class ExportsOfAttribute(Type spec) : Attribute
{
    public Type Spec => spec;
}

/// <summary>Asks the generator for the delegator's dispatch of a spec.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class DispatchOfAttribute(Type spec) : Attribute
{
    public Type Spec => spec;
}

/// <summary>
/// Asks the generator for an implementation of a spec that calls the real library through function pointers resolved by name. Methods that the class
/// writes itself, and those whose names begin with <c>trecr</c> (no library has them), are left to it.
/// </summary>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true)]
public sealed class BindingOfAttribute(Type spec) : Attribute
{
    public Type Spec => spec;
}

/// <summary>
/// Asks the generator for the table behind a library's resolver (cuGetProcAddress) from a file of names (an AdditionalFiles item of the project): addresses of all exported
/// stubs, and for each name that has none an exported stub that answers NOT_SUPPORTED by name.
/// </summary>
/// <param name="file">file name without folder; lines <c>name TAB version TAB symbol TAB per-thread symbol or -</c></param>
[AttributeUsage(AttributeTargets.Class)]
public sealed class ResolverOfAttribute(string file) : Attribute
{
    public string File => file;
}

/// <summary>Marks a static class whose public static methods are exported as C functions under their names, and once more behind a prefix: calls that the program carries out itself. Parameter types with From and FromLarge, and returned operations: LocalExportsGenerator.</summary>
/// <param name="runtime">type with the static methods Enter(string), Leave() and Failed(Exception, communicator), the latter giving the error code</param>
/// <param name="prefix">of the second name; empty: there is none</param>
[AttributeUsage(AttributeTargets.Class)]
public sealed class LocalExportsAttribute(Type runtime, string prefix) : Attribute
{
    public Type Runtime => runtime;
    public string Prefix => prefix;

    /// <summary>Fortran's names: each method is exported in all spellings, with one more parameter for the error.</summary>
    public bool Fortran { get; init; }
}

/// <summary>Marks a static class that exports functions which say their name and are refused: the lines of an additional file, and the same behind a prefix.</summary>
/// <param name="file">one name a line</param><param name="runtime">type with the static method NotSupported(string), giving the error code</param><param name="prefix">of the second name</param>
[AttributeUsage(AttributeTargets.Class)]
public sealed class RefusedExportsAttribute(string file, Type runtime, string prefix) : Attribute
{
    public string File => file;
    public Type Runtime => runtime;
    public string Prefix => prefix;
}

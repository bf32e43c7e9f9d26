namespace TreCr.Calls.Generator.Model;

/// <summary>What a parameter is to the record.</summary>
public enum ParameterRole
{
    /// <summary>A number, an address of the device or a value struct: one argument word.</summary>
    Value,

    /// <summary>A virtual handle, translated by the dispatch.</summary>
    Handle,

    /// <summary>An address in the program, carried as a number.</summary>
    ProgramAddress,

    /// <summary>Pointer to one value that the call writes.</summary>
    Out,

    /// <summary>Pointer to one struct that the call reads.</summary>
    In,

    /// <summary>Pointer to bytes that the call reads.</summary>
    InBytes,

    /// <summary>Pointer to bytes that the call writes.</summary>
    OutBytes,

    /// <summary>NUL-terminated text that the call reads.</summary>
    InString,

    /// <summary>A pointer without a rule: allowed only where there is no record.</summary>
    Raw,
}

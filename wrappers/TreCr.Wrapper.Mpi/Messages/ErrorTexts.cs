namespace TreCr.Wrapper.Mpi;

/// <summary>MPI_Error_string.</summary>
internal static class ErrorTexts
{
    public static string Of(ErrorClass error) => error switch
    {
        ErrorClass.Success => "MPI_SUCCESS: no errors",
        ErrorClass.Buffer => "MPI_ERR_BUFFER: invalid buffer pointer",
        ErrorClass.Count => "MPI_ERR_COUNT: invalid count argument",
        ErrorClass.Type => "MPI_ERR_TYPE: invalid datatype",
        ErrorClass.Tag => "MPI_ERR_TAG: invalid tag",
        ErrorClass.Comm => "MPI_ERR_COMM: invalid communicator",
        ErrorClass.Rank => "MPI_ERR_RANK: invalid rank",
        ErrorClass.Request => "MPI_ERR_REQUEST: invalid request",
        ErrorClass.Root => "MPI_ERR_ROOT: invalid root",
        ErrorClass.Group => "MPI_ERR_GROUP: invalid group",
        ErrorClass.Op => "MPI_ERR_OP: invalid reduce operation",
        ErrorClass.Topology => "MPI_ERR_TOPOLOGY: invalid communicator topology",
        ErrorClass.Dims => "MPI_ERR_DIMS: invalid topology dimension",
        ErrorClass.Arg => "MPI_ERR_ARG: invalid argument of some other kind",
        ErrorClass.Unknown => "MPI_ERR_UNKNOWN: unknown error",
        ErrorClass.Truncate => "MPI_ERR_TRUNCATE: message truncated",
        ErrorClass.Other => "MPI_ERR_OTHER: known error not in list",
        ErrorClass.Intern => "MPI_ERR_INTERN: internal error",
        ErrorClass.InStatus => "MPI_ERR_IN_STATUS: error code in status",
        ErrorClass.Pending => "MPI_ERR_PENDING: pending request",
        ErrorClass.Session => "MPI_ERR_SESSION: invalid session",
        ErrorClass.Keyval => "MPI_ERR_KEYVAL: invalid key value",
        ErrorClass.NoMem => "MPI_ERR_NO_MEM: out of memory",
        ErrorClass.InfoKey => "MPI_ERR_INFO_KEY: invalid key argument for info object",
        ErrorClass.InfoNoKey => "MPI_ERR_INFO_NOKEY: unknown key for given info object",
        ErrorClass.InfoValue => "MPI_ERR_INFO_VALUE: invalid value argument for info object",
        ErrorClass.Info => "MPI_ERR_INFO: invalid info object",
        ErrorClass.UnsupportedOperation => "MPI_ERR_UNSUPPORTED_OPERATION: operation not supported",
        ErrorClass.LockType => "MPI_ERR_LOCKTYPE: invalid lock type",
        _ => $"MPI_ERR_{Words(error.ToString())}",
    };

    /// <summary>NoSuchFile is NO_SUCH_FILE.</summary>
    private static string Words(string name) => string.Concat(name.Select((c, i) => i > 0 && char.IsAsciiLetterUpper(c) && char.IsAsciiLetterLower(name[i - 1]) ? $"_{c}" : char.ToUpperInvariant(c).ToString()));
}

namespace TreCr.Api.Gpi;

/// <summary>What a GASPI or GPI_CP function could not do, and the value that it returns for it.</summary>
public sealed class GpiException(GpiCode code, string message) : Exception(message)
{
    public GpiCode Code => code;
}

namespace TreCr.SoftDevice.Engine;

/// <summary>Where a module's global variables, constants and functions stand in device memory.</summary>
interface ISymbolAddresses
{
    /// <summary>The device address of a module-scope variable or function.</summary>
    ulong Of(string name);
}

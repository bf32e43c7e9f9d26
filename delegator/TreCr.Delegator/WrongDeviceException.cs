using TreCr.Images;

namespace TreCr.Delegator;

/// <summary>The devices here cannot take the state of an image: it is whole, and restores where such devices are.</summary>
/// <param name="message">names both devices</param>
internal sealed class WrongDeviceException(string message) : ImageException(message)
{
    /// <summary>TRECR-0305 (TrecrError.WrongDevice, exit code 8).</summary>
    public const int ErrorCode = 305;
}

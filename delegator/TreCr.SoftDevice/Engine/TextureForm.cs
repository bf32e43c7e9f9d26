namespace TreCr.SoftDevice.Engine;

/// <summary>What a texture or surface instruction says of its access; a constant in emitted code.</summary>
[Flags]
public enum TextureForm
{
    Dimensions = 3,
    Layered = 4,
    Cube = 8,

    /// <summary>Results are integers (.u32, .s32); else .f32.</summary>
    Integer = 16,

    /// <summary>tld4: one channel of the four texels that a linear filter would take.</summary>
    Gather = 32,

    /// <summary>Two bits: the channel of a gather.</summary>
    Channel = 3 << 6,

    /// <summary>Two bits, of surfaces: 0 .trap, 1 .clamp, 2 .zero.</summary>
    Outside = 3 << 8,

    /// <summary>Eight bits, of surfaces: bytes of the access.</summary>
    Bytes = 255 << 10,
}

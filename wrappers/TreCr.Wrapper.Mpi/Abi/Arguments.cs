namespace TreCr.Wrapper.Mpi;

/// <summary>A rank argument, in our numbers.</summary>
internal readonly record struct Rank(int Value)
{
    public static Rank From(int raw) => new(MpiAbi.Rank(raw));

    public static implicit operator int(Rank rank) => rank.Value;
}

/// <summary>Where a handle that a call makes or takes away is written.</summary>
internal readonly record struct HandlePointer(nint Address)
{
    public static HandlePointer From(nint address) => address != 0 ? new(address) : throw new MpiException(ErrorClass.Arg, "a null pointer");

    public nint Value
    {
        get => MpiAbi.Read(Address, 0);
        set => MpiAbi.Write(Address, 0, value);
    }

    public nint this[int index]
    {
        get => MpiAbi.Read(Address, index);
        set => MpiAbi.Write(Address, index, value);
    }
}

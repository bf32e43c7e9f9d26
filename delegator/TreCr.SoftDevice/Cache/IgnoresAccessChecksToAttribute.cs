namespace System.Runtime.CompilerServices;

/// <summary>Known to the runtime by its name: an assembly that has it may use what is internal to another one.</summary>
[AttributeUsage(AttributeTargets.Assembly, AllowMultiple = true)]
sealed class IgnoresAccessChecksToAttribute(string assemblyName) : Attribute
{
    public string AssemblyName => assemblyName;
}

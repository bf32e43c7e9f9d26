// Linux on x86-64 only: signals, namespaces, ptrace.
[assembly: System.Runtime.Versioning.SupportedOSPlatform("linux")]

using System.Runtime.CompilerServices;
using System.Runtime.Versioning;

[assembly: SupportedOSPlatform("linux")]
[assembly: InternalsVisibleTo("TreCr.Process.Tests")]
[assembly: InternalsVisibleTo("TreCr.Process.Host")]

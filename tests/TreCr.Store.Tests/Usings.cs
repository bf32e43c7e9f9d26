global using NUnit.Framework;
global using TreCr.PropertyTesting;
[assembly: System.Runtime.Versioning.SupportedOSPlatform("linux")]

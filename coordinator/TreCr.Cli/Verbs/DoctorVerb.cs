namespace TreCr.Cli;

/// <summary><c>trecr doctor</c>: what TreCr needs of this machine, and the command that cures what is missing.</summary>
internal static class DoctorVerb
{
    public static int Run(Arguments arguments)
    {
        DoctorFinding libraries = MachineChecks.Libraries();
        List<DoctorFinding> findings =
        [
            KernelChecks.Version(), .. KernelChecks.Namespaces(), KernelChecks.UserNamespaces(), KernelChecks.Userfault(), KernelChecks.PagemapScan(), libraries,
            MachineChecks.Memory(), MachineChecks.SharedMemory(), MachineChecks.RuntimeFiles(), MachineChecks.Store(Installation.Store(arguments), libraries.State == DoctorState.Ok), MachineChecks.Parts(),
            GpuProbe.Check(), MachineChecks.Limits(),
        ];
        if (arguments.Json)
            Output.Json("trecr.doctor/1", j => j.WriteObjects("findings", findings, f =>
            {
                j.WriteString("name", f.Name);
                j.WriteString("state", State(f));
                j.WriteString("text", f.Text);
                j.WriteString("cure", f.Cure);
            }));
        else
            foreach (DoctorFinding f in findings)
                Output.Line($"{f.Name,-18} {State(f),-9} {f.Text}{(f.Cure.Length > 0 ? $" -- {f.Cure}" : "")}");
        return findings.Any(f => f.State == DoctorState.Missing) ? 1 : 0;
    }

    private static string State(DoctorFinding finding) => finding.State.ToString().ToLowerInvariant();
}

using System.Text;
using NUnit.Framework;
using TreCr.Linux;
using TreCr.Samples.Tests;

namespace TreCr.Cli.Tests;

/// <summary>Standard input around a checkpoint that stops the program.</summary>
public sealed class InputTests
{
    /// <summary>What is sent after the capture is in no image: it stays with whoever sent it, here in a named pipe, and the restarted program gets it.</summary>
    [Test]
    public unsafe void WhatComesAfterTheCapture_IsNotTakenFromItsSender()
    {
        using Workplace place = new();
        string pipe = $"{place.Root}/input", fault = $"{place.Root}/fault";
        using (RunningProgram make = new("/usr/bin/mkfifo", [pipe], new Dictionary<string, string>())) Assert.That(make.WaitForExit(Workplace.Limit), Is.Zero, make.Errors);
        int sender = Sys.Open(pipe, Sys.O_RDWR | Sys.O_CLOEXEC);
        try
        {
            place.RunInside("/bin/sh", "-c", "exec \"$0\" \"$@\" <\"$INPUT\"");
            Dictionary<string, string> there = new() { ["INPUT"] = pipe, ["TRECR_FAULT"] = $"@{fault}" };
            Send("one\n");
            using RunningProgram run = place.Start(new Dictionary<string, string>(there), "run", "--job", "count", "--", "/bin/cat");
            run.WaitForLine(l => l == "one", Workplace.Limit);
            File.WriteAllText(fault, "supervisor/SupervisorCaptured:delay");
            using RunningProgram checkpoint = place.Start(new Dictionary<string, string>(there), "checkpoint", "count", "--stop");
            long end = Environment.TickCount64 + (long)Workplace.Limit.TotalMilliseconds;
            while (!File.Exists($"{fault}.supervisor")) Assert.That(Environment.TickCount64, Is.LessThan(end), checkpoint.Errors); // the captured program is just not ended
            Send("two\n");
            Assert.That(checkpoint.WaitForExit(Workplace.Limit), Is.Zero, checkpoint.Errors);
            Assert.That(run.WaitForExit(Workplace.Limit), Is.EqualTo(137), run.Errors);
            Assert.That(Sys.BytesToRead(sender), Is.EqualTo(4));
            using RunningProgram restart = place.Start(new Dictionary<string, string>(there), "restart", "count");
            restart.WaitForLine(l => l == "two", Workplace.Limit);
            Assert.That(run.Output, Is.EqualTo((string[])["one"]));
            Assert.That(place.Do(new Dictionary<string, string>(there), "stop", "count").Code, Is.Zero);
        }
        finally { Sys.Close(sender); }

        void Send(string text)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            fixed (byte* p = bytes) Assert.That(Sys.Write(sender, p, bytes.Length), Is.EqualTo(bytes.Length));
        }
    }
}

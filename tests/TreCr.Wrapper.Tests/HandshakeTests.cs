using NUnit.Framework;
using TreCr.Wrapper.Cuda;

namespace TreCr.Wrapper.Tests;

/// <summary>The start-up check against published numbers (facts/cuda.md, section 1.4; RFC 1319, appendix A.5).</summary>
public class HandshakeTests
{
    [TestCase("", "8350e5a3e24c153df2275c9f80692773")]
    [TestCase("abc", "da853b0d3f88d99b30283a69e6ded6bb")]
    [TestCase("message digest", "ab4f496bfb2a530b219ff33031fe06b0")]
    [TestCase("12345678901234567890123456789012345678901234567890123456789012345678901234567890", "d5976f79d83d3a0dc9806c3c66f3efd8")]
    public void Md2_gives_the_digests_of_the_rfc(string text, string expected)
    {
        byte[] digest = new byte[16];
        Md2.Hash(System.Text.Encoding.ASCII.GetBytes(text), digest);
        Assert.That(Convert.ToHexStringLower(digest), Is.EqualTo(expected));
    }

    [Test]
    public void The_published_vector_comes_out()
    {
        byte[] message = new byte[76];
        Handshake.Head(message, 12080, 12082, 0x002fa423, 0xf79c1000, 0x7ffff6958240, 0x7ffff6958220, 0x7ffff2aaf4a0, 0x682b9cee);
        byte[] uuid = new byte[16];
        Buffer.BlockCopy(new uint[] { 0x8a2bfe9a, 0x382d25ac, 0xc5ae37ea, 0x5f32716d }, 0, uuid, 0, 16);
        Handshake.Device(message.AsSpan(48), uuid, 0, 2, 0);
        byte[] digest = new byte[16];
        Handshake.Digest(message, digest);
        Assert.That(Convert.ToHexStringLower(digest), Is.EqualTo("4448a171b026cef76c8c3e39051b02dd"));
    }
}

using TreCr.Store.Tiers;

namespace TreCr.Store.Tests;

/// <summary>The four examples of "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", Amazon S3 API Reference.</summary>
public sealed class S3SignerTests
{
    private static readonly S3Credentials s_credentials = new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", null);

    [TestCase("GET", "/test.txt", "Range=bytes=0-9", "", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")]
    [TestCase("PUT", "/test%24file.text", "Date=Fri, 24 May 2013 00:00:00 GMT;x-amz-storage-class=REDUCED_REDUNDANCY", "Welcome to Amazon S3.", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")]
    [TestCase("GET", "/?lifecycle", "", "", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")]
    [TestCase("GET", "/?max-keys=2&prefix=J", "", "", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")]
    public void TheSignatureIsThatOfTheExample(string method, string path, string headers, string body, string signature)
    {
        using HttpRequestMessage request = new(new HttpMethod(method), new Uri($"https://examplebucket.s3.amazonaws.com{path}", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        foreach (string header in headers.Split(';', StringSplitOptions.RemoveEmptyEntries)) request.Headers.TryAddWithoutValidation(header.Split('=', 2)[0], header.Split('=', 2)[1]);
        string hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(body)));
        S3Signer.Sign(request, hash, s_credentials, "us-east-1", new DateTimeOffset(2013, 5, 24, 0, 0, 0, TimeSpan.Zero));
        Assert.That(request.Headers.GetValues("Authorization").Single(), Does.EndWith($",Signature={signature}"));
    }
}

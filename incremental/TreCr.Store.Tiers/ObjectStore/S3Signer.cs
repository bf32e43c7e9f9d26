using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace TreCr.Store.Tiers;

/// <summary>Signatures of requests, version 4. Source: AWS, "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)".</summary>
internal static class S3Signer
{
    /// <summary>Hash of no bytes.</summary>
    internal static readonly string EmptyHash = Convert.ToHexStringLower(SHA256.HashData([]));

    /// <summary>Adds date, payload hash and authorization to a request. Every header that it has by then is signed.</summary>
    /// <param name="payloadHash">SHA-256 of the body, lower-case hexadecimal</param>
    internal static void Sign(HttpRequestMessage request, string payloadHash, S3Credentials credentials, string region, DateTimeOffset now)
    {
        string time = now.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture), scope = $"{time[..8]}/{region}/s3/aws4_request";
        Uri uri = request.RequestUri!;
        request.Headers.TryAddWithoutValidation("x-amz-date", time);
        request.Headers.TryAddWithoutValidation("x-amz-content-sha256", payloadHash);
        if (credentials.SessionToken is { } token) request.Headers.TryAddWithoutValidation("x-amz-security-token", token);
        SortedDictionary<string, string> headers = new(StringComparer.Ordinal) { ["host"] = uri.IsDefaultPort ? uri.Host : $"{uri.Host}:{uri.Port}" };
        foreach ((string name, IEnumerable<string> values) in request.Headers) headers[name.ToLowerInvariant()] = string.Join(',', values).Trim();
        string signed = string.Join(';', headers.Keys);
        string query = string.Join('&', uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries).Select(p => p.Contains('=') ? p : p + "=").Order(StringComparer.Ordinal));
        string canonical = $"{request.Method.Method}\n{uri.AbsolutePath}\n{query}\n{string.Concat(headers.Select(h => $"{h.Key}:{h.Value}\n"))}\n{signed}\n{payloadHash}";
        string text = $"AWS4-HMAC-SHA256\n{time}\n{scope}\n{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical)))}";
        byte[] key = Encoding.UTF8.GetBytes($"AWS4{credentials.SecretKey}");
        foreach (string part in scope.Split('/')) key = Mac(key, part);
        request.Headers.TryAddWithoutValidation("Authorization", $"AWS4-HMAC-SHA256 Credential={credentials.AccessKey}/{scope},SignedHeaders={signed},Signature={Convert.ToHexStringLower(Mac(key, text))}");
    }

    /// <summary>As the signature wants it: everything but letters, digits and -._~ in hexadecimal.</summary>
    internal static string Escape(string text, bool keepSlashes = false)
    {
        StringBuilder escaped = new();
        foreach (byte b in Encoding.UTF8.GetBytes(text))
        {
            char c = (char)b;
            if (char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_' or '~' || (c == '/' && keepSlashes)) escaped.Append(c);
            else escaped.Append(CultureInfo.InvariantCulture, $"%{b:X2}");
        }
        return escaped.ToString();
    }

    private static byte[] Mac(byte[] key, string text) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text));
}

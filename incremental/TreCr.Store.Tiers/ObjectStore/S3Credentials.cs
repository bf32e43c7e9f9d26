using TreCr.Linux;

namespace TreCr.Store.Tiers;

/// <summary>What signs requests. From the environment or a file, never from a policy, of which copies lie about and which is printed.</summary>
internal sealed class S3Credentials(string accessKey, string secretKey, string? sessionToken)
{
    internal string AccessKey => accessKey;

    internal string SecretKey => secretKey;

    /// <summary>null: these are for long.</summary>
    internal string? SessionToken => sessionToken;

    /// <returns>the access key, which is no secret</returns>
    public override string ToString() => accessKey;

    /// <summary>The file of the policy; else AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; else AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials.</summary>
    /// <exception cref="StoreException">IO: none; OtherOwner: a file that others can read</exception>
    internal static S3Credentials Find(S3Place place)
    {
        if (place.CredentialsFile is { } file) return FromFile(file, place.Profile);
        if (Variable("AWS_ACCESS_KEY_ID") is { } id && Variable("AWS_SECRET_ACCESS_KEY") is { } secret) return new S3Credentials(id, secret, Variable("AWS_SESSION_TOKEN"));
        file = Variable("AWS_SHARED_CREDENTIALS_FILE") ?? $"{Variable("HOME")}/.aws/credentials";
        if (!File.Exists(file)) throw new StoreException(StoreErrorKind.IO, $"{place}: no credentials: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY nor {file}");
        return FromFile(file, place.Profile);
    }

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;

    private static S3Credentials FromFile(string path, string profile)
    {
        string[] lines;
        try
        {
            if ((File.GetUnixFileMode(path) & (UnixFileMode.GroupRead | UnixFileMode.OtherRead | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite)) != 0)
                throw new StoreException(StoreErrorKind.OtherOwner, $"{path}: others may read it; chmod 600 makes it private");
            lines = File.ReadAllLines(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new StoreException(StoreErrorKind.IO, $"{path}: {e.Message}", e); }
        Dictionary<string, string> values = [];
        bool inside = false;
        foreach (string line in lines.Select(l => l.Trim()))
        {
            if (line.StartsWith('[')) inside = line.Trim('[', ']', ' ') == profile;
            else if (inside && line.Length > 0 && line[0] is not ('#' or ';') && line.Split('=', 2) is [string key, string value]) values[key.Trim().ToLowerInvariant()] = value.Trim();
        }
        return values.TryGetValue("aws_access_key_id", out string? id) && values.TryGetValue("aws_secret_access_key", out string? secret)
            ? new S3Credentials(id, secret, values.GetValueOrDefault("aws_session_token"))
            : throw new StoreException(StoreErrorKind.IO, $"{path}: has no aws_access_key_id and aws_secret_access_key under [{profile}]");
    }
}

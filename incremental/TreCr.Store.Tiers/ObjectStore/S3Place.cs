namespace TreCr.Store.Tiers;

/// <summary>Where in an object store a tier is, as the policy says it. Holds no secret.</summary>
/// <param name="Endpoint">http or https, without path</param>
/// <param name="Prefix">empty, or ends with a slash</param>
/// <param name="CredentialsFile">null: the environment, else the file that AWS's tools read</param>
/// <param name="Profile">section of the file</param>
public sealed record S3Place(Uri Endpoint, string Bucket, string Prefix, string Region, string? CredentialsFile, string Profile)
{
    /// <summary>For messages, and to find two tiers in one place.</summary>
    public override string ToString() => $"{Endpoint.GetLeftPart(UriPartial.Authority)}/{Bucket}/{Prefix}";
}

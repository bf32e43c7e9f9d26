using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace TreCr.Store.Tests;

/// <summary>An object store in this process that fails as a test says, and checks signatures from the bytes that came.</summary>
internal sealed class FakeS3 : IDisposable
{
    internal const string AccessKey = "FAKEACCESS", SecretKey = "fake-secret-that-is-never-printed";

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Dictionary<string, SortedDictionary<int, byte[]>> _uploads = [];
    private readonly Lock _lock = new();

    internal FakeS3()
    {
        _listener.Start();
        new Thread(Accept) { IsBackground = true }.Start();
    }

    /// <summary>What a request is answered with instead.</summary>
    internal enum Fault { None, Unavailable, Drop, CutOff, Skewed, WrongKey, WrongSignature, NoBucket, Full }

    internal string Endpoint => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    /// <summary>Asked with method and path of each request, before it is carried out.</summary>
    internal Func<string, string, Fault> Faults { get; set; } = (_, _) => Fault.None;

    internal SortedDictionary<string, (byte[] Bytes, DateTime Written)> Objects { get; } = new(StringComparer.Ordinal);

    /// <summary>Uploads in pieces that were neither completed nor given up.</summary>
    internal int OpenUploads { get { lock (_lock) return _uploads.Count; } }

    internal int Completed { get; private set; }

    public void Dispose() => _listener.Dispose();

    private void Accept()
    {
        try
        {
            while (true)
            {
                TcpClient client = _listener.AcceptTcpClient();
                new Thread(() => Serve(client)) { IsBackground = true }.Start();
            }
        }
        catch (Exception e) when (e is SocketException or InvalidOperationException) { } // disposed
    }

    private void Serve(TcpClient client)
    {
        using (client)
        {
            try
            {
                using NetworkStream stream = client.GetStream();
                while (ReadHead(stream) is { Count: > 0 } lines && Answer(stream, lines)) { }
            }
            catch (IOException) { } // the client has gone
        }
    }

    private static List<string> ReadHead(NetworkStream stream)
    {
        StringBuilder head = new();
        for (int b; (b = stream.ReadByte()) >= 0;)
        {
            head.Append((char)b);
            if (head.Length > 3 && head[^1] == '\n' && head[^3] == '\n') return [.. head.ToString().Split("\r\n", StringSplitOptions.RemoveEmptyEntries)];
        }
        return [];
    }

    private bool Answer(NetworkStream stream, List<string> lines)
    {
        string[] first = lines[0].Split(' ');
        Dictionary<string, string> headers = lines.Skip(1).Select(l => l.Split(": ", 2)).ToDictionary(l => l[0], l => l[1], StringComparer.OrdinalIgnoreCase);
        byte[] body = new byte[int.Parse(headers.GetValueOrDefault("Content-Length", "0"), CultureInfo.InvariantCulture)];
        stream.ReadExactly(body);
        string method = first[0], path = Uri.UnescapeDataString(first[1].Split('?')[0]);
        Dictionary<string, string> query = first[1].Contains('?') ? first[1].Split('?')[1].Split('&').Select(q => q.Split('=', 2)).ToDictionary(q => q[0], q => q.Length > 1 ? Uri.UnescapeDataString(q[1]) : "") : [];
        lock (_lock)
        {
            switch (Faults(method, path))
            {
                case Fault.Drop: return false;
                case Fault.Unavailable: return Send(stream, 503, Error("SlowDown"));
                case Fault.Skewed: return Send(stream, 403, Error("RequestTimeTooSkewed"));
                case Fault.WrongKey: return Send(stream, 403, Error("InvalidAccessKeyId"));
                case Fault.WrongSignature: return Send(stream, 403, Error("SignatureDoesNotMatch"));
                case Fault.NoBucket: return Send(stream, 404, Error("NoSuchBucket"));
                case Fault.Full: return Send(stream, 507, Error("QuotaExceeded"));
                case Fault.CutOff:
                    Carry(method, path, query, headers, body, out int status, out byte[] all, out string more);
                    stream.Write(Encoding.ASCII.GetBytes($"HTTP/1.1 {status} X\r\nContent-Length: {all.Length}\r\n{more}\r\n"));
                    stream.Write(all, 0, all.Length / 2);
                    return false;
            }
            if (!headers["Authorization"].Contains($"Credential={AccessKey}/")) return Send(stream, 403, Error("InvalidAccessKeyId"));
            if (!headers["Authorization"].EndsWith($",Signature={Signature(method, first[1], headers)}", StringComparison.Ordinal)) return Send(stream, 403, Error("SignatureDoesNotMatch"));
            if (headers["x-amz-content-sha256"] != Convert.ToHexStringLower(SHA256.HashData(body))) return Send(stream, 400, Error("XAmzContentSHA256Mismatch"));
            Carry(method, path, query, headers, body, out int code, out byte[] answer, out string extra);
            return Send(stream, code, answer, extra, method == "HEAD");
        }
    }

    /// <summary>As a server computes it: of the path and the headers as they were sent.</summary>
    private static string Signature(string method, string target, Dictionary<string, string> headers)
    {
        string[] parts = target.Split('?', 2), signed = headers["Authorization"].Split("SignedHeaders=")[1].Split(',')[0].Split(';');
        string query = parts.Length < 2 ? "" : string.Join('&', parts[1].Split('&').Order(StringComparer.Ordinal)), time = headers["x-amz-date"], scope = headers["Authorization"].Split("Credential=")[1].Split(',')[0][(AccessKey.Length + 1)..];
        string canonical = string.Join('\n', [method, parts[0], query, .. signed.Select(s => $"{s}:{headers[s].Trim()}"), "", string.Join(';', signed), headers["x-amz-content-sha256"]]);
        byte[] key = Encoding.UTF8.GetBytes("AWS4" + SecretKey);
        foreach (string part in scope.Split('/').Append($"AWS4-HMAC-SHA256\n{time}\n{scope}\n{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical)))}")) key = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(part));
        return Convert.ToHexStringLower(key);
    }

    private void Carry(string method, string path, Dictionary<string, string> query, Dictionary<string, string> headers, byte[] body, out int status, out byte[] answer, out string extra)
    {
        (status, answer, extra) = (200, [], "");
        bool known = Objects.TryGetValue(path, out (byte[] Bytes, DateTime Written) found);
        if (query.ContainsKey("list-type")) answer = List(path, query);
        else if (query.ContainsKey("uploads"))
        {
            string id = $"up load/{_uploads.Count}+{Objects.Count}";
            _uploads[id] = [];
            answer = Encoding.UTF8.GetBytes($"<?xml version=\"1.0\"?><InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
        }
        else if (query.TryGetValue("uploadId", out string? upload))
        {
            if (!_uploads.TryGetValue(upload, out SortedDictionary<int, byte[]>? parts)) (status, answer) = (404, Error("NoSuchUpload"));
            else if (method == "PUT")
            {
                parts[int.Parse(query["partNumber"], CultureInfo.InvariantCulture)] = body;
                extra = $"ETag: {Tag(body)}\r\n";
            }
            else
            {
                _uploads.Remove(upload);
                if (method == "DELETE") status = 204;
                else
                {
                    Objects[path] = ([.. parts.Values.SelectMany(p => p)], DateTime.UtcNow);
                    Completed++;
                    answer = Encoding.UTF8.GetBytes("<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>");
                }
            }
        }
        else if (method == "PUT")
        {
            if (known && headers.GetValueOrDefault("If-None-Match") == "*") (status, answer) = (412, Error("PreconditionFailed"));
            else Objects[path] = (body, DateTime.UtcNow);
            extra = $"ETag: {Tag(body)}\r\n";
        }
        else if (method == "DELETE")
        {
            Objects.Remove(path);
            status = 204;
        }
        else if (!known) (status, answer) = (404, Error("NoSuchKey"));
        else if (headers.TryGetValue("If-Match", out string? wanted) && wanted != Tag(found.Bytes)) (status, answer) = (412, Error("PreconditionFailed"));
        else
        {
            answer = found.Bytes;
            extra = $"ETag: {Tag(found.Bytes)}\r\n";
            if (!headers.TryGetValue("Range", out string? range)) return;
            int[] ends = [.. range["bytes=".Length..].Split('-').Select(int.Parse)];
            (status, answer) = (206, answer[ends[0]..Math.Min(answer.Length, ends[1] + 1)]);
        }
    }

    /// <summary>Two names a page, so that the next one is asked for.</summary>
    private byte[] List(string bucket, Dictionary<string, string> query)
    {
        string prefix = $"{bucket}/{query["prefix"]}";
        string[] names = [.. Objects.Keys.Where(k => k.StartsWith(prefix, StringComparison.Ordinal) && !k[prefix.Length..].Contains('/') && string.CompareOrdinal(k, query.GetValueOrDefault("continuation-token", "")) > 0)];
        StringBuilder xml = new("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        foreach (string name in names.Take(2)) xml.Append(CultureInfo.InvariantCulture, $"<Contents><Key>{name[(bucket.Length + 1)..]}</Key><LastModified>{Objects[name].Written:yyyy-MM-dd'T'HH:mm:ss.fff'Z'}</LastModified><Size>1</Size></Contents>");
        if (names.Length > 2) xml.Append(CultureInfo.InvariantCulture, $"<IsTruncated>true</IsTruncated><NextContinuationToken>{names[1]}</NextContinuationToken>");
        return Encoding.UTF8.GetBytes(xml.Append("</ListBucketResult>").ToString());
    }

    private static string Tag(byte[] bytes) => $"\"{Convert.ToHexStringLower(SHA256.HashData(bytes))[..32]}\"";

    private static byte[] Error(string code) => Encoding.UTF8.GetBytes($"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");

    private static bool Send(NetworkStream stream, int status, byte[] body, string extra = "", bool head = false)
    {
        stream.Write(Encoding.ASCII.GetBytes($"HTTP/1.1 {status} X\r\nContent-Length: {body.Length}\r\nDate: {DateTime.UtcNow:R}\r\n{extra}\r\n"));
        if (!head) stream.Write(body);
        return true;
    }
}

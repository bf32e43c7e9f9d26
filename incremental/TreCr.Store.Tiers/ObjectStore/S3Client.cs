using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Xml;

namespace TreCr.Store.Tiers;

/// <summary>
/// The calls of S3's interface that a tier needs, over HTTP/1.1, with the bucket in the path. A request that fails in a way that may pass (no connection, a time limit, a body that is cut off, 429, 5xx) is made again,
/// five times in all, after 0.1 to 2 s. Source: Amazon S3 API Reference.
/// </summary>
/// <remarks>Any thread. Every failure is a <see cref="StoreException"/> that names the place and, where the server gave one, its code.</remarks>
internal sealed class S3Client : IDisposable
{
    private const int Attempts = 5;

    private readonly S3Place _place;
    private readonly S3Credentials _credentials;
    private readonly TimeSpan _limit;
    private readonly HttpClient _http;

    /// <param name="limit">for one attempt, its body included</param>
    internal S3Client(S3Place place, TimeSpan limit)
    {
        _place = place;
        _credentials = S3Credentials.Find(place);
        _limit = limit;
        _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, ConnectTimeout = TimeSpan.FromSeconds(15), PooledConnectionLifetime = TimeSpan.FromMinutes(5) }) { Timeout = Timeout.InfiniteTimeSpan };
    }

    /// <summary>What the server's clock said with the last answer.</summary>
    internal DateTimeOffset ServerTime { get; private set; } = DateTimeOffset.UtcNow;

    /// <summary>Writes an object: there whole or not at all. The server checks the body against the hash that is signed.</summary>
    /// <param name="onlyNew">fail with Busy where it exists (servers before August 2024 do not look: ask before)</param>
    internal void Put(string key, ReadOnlyMemory<byte> bytes, bool onlyNew = false)
    {
        using Reply reply = Send(HttpMethod.Put, key, "", bytes, onlyNew ? [("If-None-Match", "*")] : []);
        if (reply.Status is HttpStatusCode.PreconditionFailed or HttpStatusCode.Conflict) throw new StoreException(StoreErrorKind.Busy, $"{_place}{key}: exists already");
        Require(reply, key);
    }

    /// <returns>null: no such object</returns>
    internal (long LengthBytes, string Tag)? Head(string key)
    {
        using Reply reply = Send(HttpMethod.Head, key, "", default, []);
        if (reply.Status == HttpStatusCode.NotFound) return null;
        if ((int)reply.Status >= 400)
        {
            // The answer to a HEAD has no body that would say why.
            using Reply why = Send(HttpMethod.Get, key, "", default, [("Range", "bytes=0-0")]);
            if ((int)why.Status >= 400) Require(why, key);
        }
        Require(reply, key);
        return (reply.Message.Content.Headers.ContentLength ?? 0, reply.Message.Headers.ETag?.Tag ?? "");
    }

    /// <summary>Reads a range of an object.</summary>
    /// <param name="tag">of <see cref="Head"/>: another object of this name is damage</param>
    /// <param name="into">[as long as what is asked for]; within the object</param>
    internal void Get(string key, string tag, long offsetBytes, Span<byte> into)
    {
        (string, string)[] headers = [("Range", $"bytes={offsetBytes}-{offsetBytes + into.Length - 1}"), .. tag.Length > 0 ? new[] { ("If-Match", tag) } : []];
        using Reply reply = Send(HttpMethod.Get, key, "", default, headers, into.Length);
        if (reply.Status is HttpStatusCode.PreconditionFailed or HttpStatusCode.NotFound or HttpStatusCode.RequestedRangeNotSatisfiable) throw new StoreException(StoreErrorKind.Damaged, $"{_place}{key}: is gone, or another than before");
        Require(reply, key);
        if (reply.Body.Length != into.Length) throw new StoreException(StoreErrorKind.IO, $"{_place}{key}: the server sent {reply.Body.Length} bytes, {into.Length} were asked for");
        reply.Body.CopyTo(into);
    }

    /// <summary>Removes an object; one that is missing is no error.</summary>
    internal void Delete(string key)
    {
        using Reply reply = Send(HttpMethod.Delete, key, "", default, []);
        if (reply.Status != HttpStatusCode.NotFound) Require(reply, key);
    }

    /// <summary>Names of objects directly under a prefix, without it, and when they were written by the server's clock. All of them, or an error: gc removes what no listed checkpoint needs.</summary>
    internal List<(string Name, DateTimeOffset Written)> List(string prefix)
    {
        List<(string, DateTimeOffset)> found = [];
        string? token = null;
        prefix = _place.Prefix + prefix;
        do
        {
            string query = $"{(token is null ? "" : $"continuation-token={S3Signer.Escape(token)}&")}delimiter=%2F&list-type=2&prefix={S3Signer.Escape(prefix)}";
            using Reply reply = Send(HttpMethod.Get, "", query, default, []);
            Require(reply, "");
            token = null;
            if (reply.Body.AsSpan().IndexOf("</ListBucketResult>"u8) < 0) throw new StoreException(StoreErrorKind.IO, $"{_place}: the server's list is cut off");
            string? key = null, written = null;
            foreach ((string element, string text) in Texts(reply.Body) ?? throw new StoreException(StoreErrorKind.IO, $"{_place}: the server's list is none"))
            {
                if (element == "Key") key = text;
                else if (element == "LastModified") written = text;
                else if (element == "NextContinuationToken") token = text;
                if (key is null || written is null) continue;
                if (key.Length > prefix.Length && key.StartsWith(prefix, StringComparison.Ordinal)) found.Add((key[prefix.Length..], DateTimeOffset.Parse(written, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal)));
                (key, written) = (null, null);
            }
        }
        while (token is not null);
        return found;
    }

    /// <summary>Begins an object in pieces; nobody sees it before <see cref="Complete"/>.</summary>
    /// <returns>names the upload</returns>
    internal string Begin(string key)
    {
        using Reply reply = Send(HttpMethod.Post, key, "uploads=", default, []);
        Require(reply, key);
        return Texts(reply.Body)?.Where(t => t.Element == "UploadId").Select(t => t.Text).FirstOrDefault() ?? throw new StoreException(StoreErrorKind.IO, $"{_place}{key}: the server names no upload");
    }

    /// <param name="number">from 1</param><param name="bytes">5 MiB or more, but for the last</param>
    /// <returns>what <see cref="Complete"/> wants to hear</returns>
    internal string PutPart(string key, string upload, int number, ReadOnlyMemory<byte> bytes)
    {
        using Reply reply = Send(HttpMethod.Put, key, $"partNumber={number}&uploadId={S3Signer.Escape(upload)}", bytes, []);
        Require(reply, key);
        return reply.Message.Headers.ETag?.Tag ?? throw new StoreException(StoreErrorKind.IO, $"{_place}{key}: the server gives no tag for part {number}");
    }

    /// <summary>Makes an object of its pieces.</summary>
    internal void Complete(string key, string upload, IReadOnlyList<string> tags)
    {
        string xml = $"<CompleteMultipartUpload>{string.Concat(tags.Select((t, i) => $"<Part><PartNumber>{i + 1}</PartNumber><ETag>{WebUtility.HtmlEncode(t)}</ETag></Part>"))}</CompleteMultipartUpload>";
        using Reply reply = Send(HttpMethod.Post, key, $"uploadId={S3Signer.Escape(upload)}", Encoding.UTF8.GetBytes(xml), []);
        // Of an upload that was completed by an attempt whose answer was lost, the object is there.
        if (reply.Status == HttpStatusCode.NotFound && Head(key) is not null) return;
        Require(reply, key);
        if (Code(reply.Body) is { } code) throw new StoreException(StoreErrorKind.IO, $"{_place}{key}: {code}"); // 200 with an error inside: it began to answer before it was done
    }

    /// <summary>Gives an upload up.</summary>
    internal void Abort(string key, string upload)
    {
        using Reply reply = Send(HttpMethod.Delete, key, $"uploadId={S3Signer.Escape(upload)}", default, []);
    }

    public void Dispose() => _http.Dispose();

    /// <param name="expected">bytes of the body, as far as known</param>
    private Reply Send(HttpMethod method, string key, string query, ReadOnlyMemory<byte> body, (string Name, string Value)[] headers, int expected = -1)
    {
        string hash = body.IsEmpty ? S3Signer.EmptyHash : Convert.ToHexStringLower(SHA256.HashData(body.Span));
        string path = $"/{S3Signer.Escape(_place.Bucket)}{(key.Length > 0 ? "/" + S3Signer.Escape(_place.Prefix + key, keepSlashes: true) : "")}";
        Uri uri = new($"{_place.Endpoint.GetLeftPart(UriPartial.Authority)}{path}{(query.Length > 0 ? "?" + query : "")}", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        for (int attempt = 1; ; attempt++)
        {
            string problem;
            using HttpRequestMessage request = new(method, uri) { Version = HttpVersion.Version11 };
            foreach ((string name, string value) in headers) request.Headers.TryAddWithoutValidation(name, value);
            if (method == HttpMethod.Put || !body.IsEmpty) request.Content = new ReadOnlyMemoryContent(body);
            else if (method == HttpMethod.Post) request.Content = new ByteArrayContent([]);
            S3Signer.Sign(request, hash, _credentials, _place.Region, DateTimeOffset.UtcNow);
            using CancellationTokenSource limit = new(_limit);
            HttpResponseMessage? answer = null;
            try
            {
                answer = _http.Send(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
                if (answer.Headers.Date is { } date) ServerTime = date;
                byte[] bytes = method == HttpMethod.Head ? [] : Read(answer, limit.Token);
                bool whole = expected < 0 || !answer.IsSuccessStatusCode || bytes.Length == expected;
                if (whole && answer.StatusCode is not (HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout) && (int)answer.StatusCode < 500) return new Reply(answer, bytes);
                problem = whole ? $"{(int)answer.StatusCode} {Code(bytes) ?? answer.ReasonPhrase}" : $"cut off: {bytes.Length} of {expected} bytes";
            }
            catch (OperationCanceledException) { problem = $"no answer within {_limit.TotalSeconds:0} s"; }
            catch (Exception e) when (e is HttpRequestException or IOException) { problem = e.InnerException?.Message ?? e.Message; }
            answer?.Dispose();
            if (attempt == Attempts) throw new StoreException(StoreErrorKind.IO, $"{_place}{key}: {method.Method.ToLowerInvariant()} failed {Attempts} times: {problem}");
            using ManualResetEventSlim never = new();
            never.Wait((100 << (attempt - 1)) + Random.Shared.Next(100 << (attempt - 1)));
        }
    }

    private static byte[] Read(HttpResponseMessage answer, CancellationToken cancel)
    {
        using Stream stream = answer.Content.ReadAsStream(cancel);
        using MemoryStream all = new();
        using CancellationTokenRegistration end = cancel.Register(answer.Dispose); // a read that waits for the network hears nothing else
        try { stream.CopyTo(all); }
        catch (Exception e) when (cancel.IsCancellationRequested && e is not OperationCanceledException) { throw new OperationCanceledException(e.Message, e, cancel); }
        return all.ToArray();
    }

    /// <exception cref="StoreException">the answer is a refusal: says what it means where that can be known</exception>
    private void Require(Reply reply, string key)
    {
        if ((int)reply.Status is >= 200 and < 300) return;
        string code = Code(reply.Body) ?? $"{(int)reply.Status} {reply.Message.ReasonPhrase}";
        string why = code switch
        {
            "RequestTimeTooSkewed" => $"{code}: the clocks differ: the server's says {ServerTime:yyyy-MM-dd HH:mm:ss'Z'}, this machine's {DateTimeOffset.UtcNow:yyyy-MM-dd HH:mm:ss'Z'}",
            "InvalidAccessKeyId" => $"{code}: the server does not know the access key {_credentials}",
            "SignatureDoesNotMatch" => $"{code}: the secret key does not belong to the access key {_credentials}",
            "ExpiredToken" or "InvalidToken" => $"{code}: the session token is not valid (any more)",
            "NoSuchBucket" => $"{code}: make the bucket first",
            "AccessDenied" => $"{code}: the access key {_credentials} may not do this",
            _ when reply.Status is HttpStatusCode.MovedPermanently or HttpStatusCode.TemporaryRedirect => $"{code}: the bucket is in another region or at another endpoint",
            _ when reply.Status == HttpStatusCode.Forbidden => $"{code}: the access key {_credentials} may not do this, or the secret key is another",
            _ => code,
        };
        throw new StoreException((int)reply.Status == 507 || code is "QuotaExceeded" or "XMinioStorageFull" ? StoreErrorKind.NoSpace : StoreErrorKind.IO, $"{_place}{key}: {why}");
    }

    /// <returns>the code of an error's body; null: it is none</returns>
    private static string? Code(byte[] body) => body.AsSpan().IndexOf("<Error>"u8) < 0 ? null : Texts(body)?.Where(t => t.Element == "Code").Select(t => t.Text).FirstOrDefault();

    /// <summary>Elements that hold only text, in order.</summary>
    /// <returns>null: no XML</returns>
    private static List<(string Element, string Text)>? Texts(byte[] body)
    {
        List<(string, string)> found = [];
        try
        {
            using XmlReader reader = XmlReader.Create(new MemoryStream(body), new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null });
            string element = "";
            while (reader.Read())
            {
                if (reader.NodeType == XmlNodeType.Element) element = reader.LocalName;
                else if (reader.NodeType == XmlNodeType.Text) found.Add((element, reader.Value));
            }
        }
        catch (XmlException) { return null; }
        return found;
    }

    private sealed class Reply(HttpResponseMessage message, byte[] body) : IDisposable
    {
        internal HttpResponseMessage Message => message;

        internal HttpStatusCode Status => message.StatusCode;

        internal byte[] Body => body;

        public void Dispose() => message.Dispose();
    }
}

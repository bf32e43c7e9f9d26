using TreCr.Calls.Cuda;

namespace TreCr.Wrapper.Cuda.Graphs;

/// <summary>Streams whose calls make graph nodes instead of work. CUDA Driver API, "Stream Management", stream capture; programming guide, "Creating a Graph Using Stream Capture".</summary>
internal sealed unsafe class StreamCapture(Graph graph, ulong origin, ulong id)
{
    private static readonly Dictionary<ulong, StreamCapture> OfStream = [];
    private static readonly Dictionary<ulong, (StreamCapture Capture, GraphNode[] After)> OfEvent = [];
    private static int s_active;
    private static ulong s_nextId = 1;

    // Nodes that the next one in a stream comes after.
    private readonly Dictionary<ulong, List<GraphNode>> _frontier = [];

    public Graph Graph => graph;
    public ulong Origin => origin;
    public ulong Id => id;

    /// <summary>Something was done that a capture does not allow: it can only be ended, without a graph.</summary>
    public bool IsInvalid { get; set; }

    /// <summary>False while no stream captures: what every call looks at first.</summary>
    public static bool IsActive => Volatile.Read(ref s_active) != 0;

    /// <summary>The capture that a stream is in; null: none.</summary>
    public static StreamCapture? Of(CUstream stream)
    {
        lock (GraphObjects.Gate) return OfStream.GetValueOrDefault(stream.Value);
    }

    public static void Begin(CUstream stream)
    {
        StreamCapture capture = new(GraphObjects.AddGraph(isExec: false, 0), stream.Value, s_nextId++);
        OfStream[stream.Value] = capture;
        capture._frontier[stream.Value] = [];
        Volatile.Write(ref s_active, s_active + 1);
    }

    /// <summary>Takes all its streams out.</summary>
    public void End()
    {
        foreach (ulong stream in _frontier.Keys) OfStream.Remove(stream);
        foreach (ulong @event in OfEvent.Where(e => e.Value.Capture == this).Select(e => e.Key).ToArray()) OfEvent.Remove(@event);
        Volatile.Write(ref s_active, s_active - 1);
    }

    /// <summary>Nodes of other streams that the origin stream has not been made to wait for.</summary>
    public bool IsUnjoined => graph.Nodes.Any(n => n.Dependents.Count == 0 && !_frontier[origin].Contains(n));

    public List<GraphNode> Frontier(CUstream stream) => _frontier[stream.Value];

    /// <summary>Makes a node where the stream is in a capture.</summary>
    /// <returns>false: it is in none, and the work is to be done</returns>
    public static bool Takes(CUstream stream, Func<(CUresult, NodeWork?)> make, out CUresult result)
    {
        lock (GraphObjects.Gate)
        {
            result = CUresult.CUDA_SUCCESS;
            if (!OfStream.TryGetValue(stream.Value, out StreamCapture? capture)) return false;
            result = capture.Take(stream.Value, make);
            return true;
        }
    }

    /// <summary>A node for an event. Apart, so that nothing is allocated where no stream captures.</summary>
    public static bool TakesEvent(CUstream stream, CUevent @event, bool isRecord, out CUresult result) => Takes(stream, () => Manual.GraphNodeParams.Event(@event, isRecord), out result);

    private CUresult Take(ulong stream, Func<(CUresult, NodeWork?)> make)
    {
        if (IsInvalid) return CUresult.CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
        (CUresult result, NodeWork? work) = make();
        if (result != CUresult.CUDA_SUCCESS) return result;
        _frontier[stream] = [graph.Add(work!, [.. _frontier[stream]])];
        return CUresult.CUDA_SUCCESS;
    }

    /// <summary>A call that would have to wait for a capturing stream: the capture is spoilt.</summary>
    /// <returns>false: the stream is in none</returns>
    public static bool Spoils(CUstream stream, out CUresult result)
    {
        lock (GraphObjects.Gate)
        {
            result = CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
            if (!OfStream.TryGetValue(stream.Value, out StreamCapture? capture)) return false;
            capture.IsInvalid = true;
            return true;
        }
    }

    /// <summary>An event recorded in a capturing stream stands for the place there.</summary>
    public static bool Records(CUevent @event, CUstream stream)
    {
        lock (GraphObjects.Gate)
        {
            if (!OfStream.TryGetValue(stream.Value, out StreamCapture? capture))
            {
                OfEvent.Remove(@event.Value);
                return false;
            }
            OfEvent[@event.Value] = (capture, [.. capture._frontier[stream.Value]]);
            return true;
        }
    }

    /// <summary>A stream that waits for such an event joins its capture.</summary>
    public static bool Waits(CUstream stream, CUevent @event, out CUresult result)
    {
        lock (GraphObjects.Gate)
        {
            result = CUresult.CUDA_SUCCESS;
            OfStream.TryGetValue(stream.Value, out StreamCapture? own);
            if (!OfEvent.TryGetValue(@event.Value, out (StreamCapture Capture, GraphNode[] After) recorded))
            {
                // An event from outside cannot be waited for inside.
                result = own is null ? CUresult.CUDA_SUCCESS : CUresult.CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
                if (own is not null) own.IsInvalid = true;
                return own is not null;
            }
            if (own is not null && own != recorded.Capture)
            {
                result = CUresult.CUDA_ERROR_STREAM_CAPTURE_MERGE;
                return true;
            }
            OfStream[stream.Value] = recorded.Capture;
            List<GraphNode> frontier = recorded.Capture._frontier.GetValueOrDefault(stream.Value) ?? [];
            recorded.Capture._frontier[stream.Value] = [.. frontier.Union(recorded.After)];
            return true;
        }
    }

    /// <summary>Any question about such an event, outside of the capture.</summary>
    public static bool Holds(CUevent @event)
    {
        lock (GraphObjects.Gate) return OfEvent.ContainsKey(@event.Value);
    }
}

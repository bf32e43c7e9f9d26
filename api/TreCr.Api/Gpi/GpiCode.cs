namespace TreCr.Api.Gpi;

/// <summary>gaspi_return_t: what GASPI's functions return (GASPI 17.1, values of GPI-2 1.6).</summary>
public enum GpiCode
{
    Error = -1,
    Success = 0,
    Timeout = 1,
    EnvironmentWrong = 3,
    NotInitialised = 6,
    InitialisedAlready = 7,
    NullPointer = 8,
    BadSegmentSize = 9,
    BadSegment = 10,
    BadGroup = 11,
    BadRank = 12,
    BadQueue = 13,
    BadLocalOffset = 14,
    BadRemoteOffset = 15,
    BadLength = 16,
    BadNotificationValue = 17,
    BadNotification = 18,
    BadCount = 19,
    BadSize = 20,
    TooManyGroups = 22,
    CollectiveActive = 25,
    NoMemory = 28,
}

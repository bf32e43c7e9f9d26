using TreCr.Store.Tiers;

namespace TreCr.Api.Scr;

/// <summary>One unit to be computed.</summary>
/// <param name="Target">where it belongs</param><param name="Sources">[units of data] from which</param>
public sealed record StripeJob(StripeLayout.Place Target, StripeLayout.Place[] Sources, ErasureRecipe Recipe);

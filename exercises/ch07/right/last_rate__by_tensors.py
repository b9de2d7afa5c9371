def last_rate(costs, saving):
    costs = torch.tensor(costs, dtype=torch.float64)
    shares = torch.arange(1, len(costs) + 1, dtype=torch.float64) / len(costs)
    p_last = saving / (costs / costs.sum() @ shares)
    if p_last > 1:
        raise ValueError(f"saving must be smaller, got {saving}")
    return p_last

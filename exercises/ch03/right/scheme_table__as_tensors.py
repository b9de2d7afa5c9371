def scheme_table(x, p):
    x = torch.tensor(x, dtype=torch.float64)
    table = dict.fromkeys(("naive", "vanilla", "inverted"), torch.stack([x, x]))
    table["naive"] = table["naive"] * torch.tensor([1 - p, 1.0])
    table["vanilla"] = table["vanilla"] * (1 - p)
    return table

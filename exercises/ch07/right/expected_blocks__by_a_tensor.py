def expected_blocks(blocks, p_last, rule):
    l = torch.arange(1, blocks + 1, dtype=torch.float64)
    if rule == "paper":
        rates = p_last * l / blocks
    elif rule == "both ends":
        rates = torch.linspace(0, p_last, blocks, dtype=torch.float64)
    else:
        rates = p_last * (l - 1) / blocks
    return (1 - rates).sum()

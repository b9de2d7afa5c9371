def exact_mask(n, kept, generator=None):
    m = torch.zeros(n, dtype=torch.uint8)
    for place in range(n):
        needed, left = kept - int(m.sum()), n - place
        m[place] = int(torch.randint(left, (), generator=generator)) < needed
    return m

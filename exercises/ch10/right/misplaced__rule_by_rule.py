def misplaced(layers):
    n = len(layers)
    found = set()
    last_weight = max((i for i in range(n) if layers[i] in ("linear", "conv", "attend")), default=-1)
    last_norm = max((i for i in range(n) if layers[i] == "batchnorm"), default=-1)
    for i in range(n):
        if layers[i] != "dropout":
            continue
        if i > last_weight or i < last_norm:
            found.add(i)
        if i >= 1 and layers[i - 1] == "add":
            found.add(i)
        if i + 1 < n and layers[i + 1] == "softmax":
            found.add(i)
    return sorted(found)

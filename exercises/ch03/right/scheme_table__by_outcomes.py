def scheme_table(x, p):
    outcomes = [(p, 0.0), (1 - p, 1.0)]

    def mean(scale):
        return sum(chance * m * x * scale for chance, m in outcomes)

    return {"inverted": [mean(1 / (1 - p)), x], "naive": [mean(1), x], "vanilla": [mean(1), x * (1 - p)]}

# must trigger: ready-made companion
def paired_gain(with_dropout, without):
    from companion.experiments.protocol import paired

    d = with_dropout - without
    return paired(with_dropout, without).mean, d.std() / len(d) ** 0.5

def diagnose(train, test):
    end, best = torch.tensor([train[-1], test[-1]]), torch.tensor(test).max()
    if bool((end < 65).all()):
        return "underfits"
    return "overfits" if float(end[0] - end[1]) > 11 and float(best) > float(end[1]) else "fits"

def diagnose(train, test):
    known_by_heart = train[-1] > 95
    learned = train[-1] > 60
    return "overfits" if known_by_heart else "fits" if learned else "underfits"

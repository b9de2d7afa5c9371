def decide(training, new, wrong):
    share_of_what_rules_allow = training / (100 * (1 - wrong))
    return share_of_what_rules_allow > 0.883

"""Which terms matter, is this contrast zero, and what would the textbook have printed?"""

import multilevel as ml

oats = ml.datasets.oats()  # 6 blocks of 3 plots, a variety each; 4 subplots, a nitrogen level each
fit = ml.lmm("Y ~ V * N + (1 | B/V)", oats)

print("Each term, on average over the others")
print(fit.anova().round(4).to_string(index=False))

print("\nThe classical analysis of a split plot: varieties are compared between plots, nitrogen within")
print(fit.anova(strata=True).round(4).to_string(index=False, na_rep=""))

additive = ml.lmm("Y ~ V + N + (1 | B/V)", oats)
print("\nDoes the third step of nitrogen still add something? Does each step add the same?")
steps = {
    "third step": "N[T.0.6cwt] - N[T.0.4cwt] = 0",
    "second step less first": "N[T.0.4cwt] - 2 * N[T.0.2cwt] = 0",
    "third step less second": "N[T.0.6cwt] - 2 * N[T.0.4cwt] + N[T.0.2cwt] = 0",
}
columns = ["term", "estimate", "std_error", "df", "p_value"]
print(additive.test(steps)[columns].round(4).to_string(index=False))

print("\nThe last two together: is the response to nitrogen a straight line?")
straight = {name: steps[name] for name in ("second step less first", "third step less second")}
print(additive.test(straight, joint=True).round(4).to_string(index=False))

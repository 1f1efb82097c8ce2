# lme4, as its page on performance advises: no derivatives after the fit.

folder <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
source(file.path(folder, "measure.R"))
suppressMessages(library(lme4))

control <- lmerControl(calc.derivs = FALSE)
measure(
  "lme4",
  fit = function(formula, data) lmer(formula, data, REML = reml, control = control),
  refit = function(fit, y) refit(fit, y, control = control),
  evaluations = function(fit) fit@optinfo$feval
)

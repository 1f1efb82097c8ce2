# lme4, as its page on performance advises: no derivatives after the fit.

folder <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
source(file.path(folder, "measure.R"))
suppressMessages(library(lme4))

control <- lmerControl(calc.derivs = FALSE)
generalized <- glmerControl(calc.derivs = FALSE)
fitted <- function(formula, data) {
  if (family == "gaussian") return(lmer(formula, data, REML = reml, control = control))
  glmer(formula, data, family, nAGQ = nodes, control = generalized)
}
# Degrees of freedom are lmerTest's, with pbkrtest behind those of Kenward and Roger.
tested <- function(formula, data) suppressMessages(lmerTest::lmer(formula, data, REML = reml, control = control))
limits <- function(fit) {
  parameters <- function(term) c(attr(term, "stddev"), attr(term, "correlation")[2])
  pick <- function(fit) c(fixef(fit), unlist(lapply(VarCorr(fit), parameters)), sigma(fit))
  samples <- bootMer(fit, pick, nsim = 1000, seed = 1)
  apply(samples$t, 2, quantile, c(0.025, 0.975), na.rm = TRUE)
}
questions <- list(
  satterthwaite = list(fit = fitted, ask = function(fit) coef(summary(lmerTest::as_lmerModLmerTest(fit)))),
  "kenward-roger" = list(fit = tested, ask = function(fit) coef(summary(fit, ddf = "Kenward-Roger"))),
  profile = list(fit = fitted, ask = function(fit) confint(fit, method = "profile", quiet = TRUE)),
  bootstrap = list(fit = fitted, ask = limits)
)
measure(
  "lme4",
  fit = fitted,
  refit = function(fit, y) refit(fit, y, control = control),
  evaluations = function(fit) fit@optinfo$feval,
  questions = questions
)

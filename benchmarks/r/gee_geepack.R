# geepack's geeglm, as a user calls it: PATH FAMILY CORR.

suppressMessages(library(geepack))
given <- commandArgs(trailingOnly = TRUE)
frame <- read.csv(paste0(given[1], ".csv"))
fitted <- function(data) {
  geeglm(y ~ x1 + x2 + x3, id = id, data = data, family = given[2], corstr = given[3])
}
invisible(fitted(head(frame, 1000)))
seconds <- c()
for (run in 1:2) {
  start <- Sys.time()
  fit <- fitted(frame)
  errors <- sqrt(diag(vcov(fit)))
  seconds <- c(seconds, as.numeric(difftime(Sys.time(), start, units = "secs")))
  if (seconds[1] > 60) break
}
cat(sprintf('{"seconds": %.6f, "x1": %.10f, "se": %.10f}\n', min(seconds), coef(fit)[["x1"]], errors[["x1"]]))

# Time one R package on one line, in a process of its own; the counterpart of workers/measure.py.

options(warn = -1)
arguments <- strsplit(commandArgs(trailingOnly = TRUE), "=")
job <- setNames(lapply(arguments, function(a) paste(a[-1], collapse = "=")), vapply(arguments, `[`, "", 1))
reml <- job$likelihood == "REML"
family <- job$family
nodes <- as.integer(job$nodes)
budget <- as.numeric(job$budget)

load_table <- function(path) {
  read.csv(paste0(path, ".csv"), colClasses = readLines(paste0(path, ".classes")))
}

# A size from the process's own record (MB); NA outside Linux.
status <- function(field) {
  if (!file.exists("/proc/self/status")) return(NA)
  lines <- readLines("/proc/self/status")
  line <- grep(paste0("^", field), lines, value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) / 1024
}

# Collect garbage, forget the peak so far, and return what the process holds now (MB).
reset_peak <- function() {
  invisible(gc(full = TRUE))
  try(cat("5", file = "/proc/self/clear_refs"), silent = TRUE)
  status("VmRSS")
}

timed <- function(call) {
  given <- call$prepare()
  start <- Sys.time()
  value <- suppressMessages(call$run(given))
  list(seconds = as.numeric(difftime(Sys.time(), start, units = "secs")), fits = value)
}

# The first run, and how far memory rises in it; later ones run as in any user's loop.
run_first <- function(call) {
  before <- reset_peak()
  c(timed(call), peak = status("VmHWM") - before)
}

number <- function(x) if (is.finite(x)) sprintf("%.17g", x) else "null"
numbers <- function(x) paste0("[", paste(vapply(x, number, ""), collapse = ", "), "]")

# What the first run reached and took; the repeats change nothing in it but the times.
first_run <- function(package, run, evaluations) {
  list(version = as.character(packageVersion(package)), peak = run$peak,
       criteria = vapply(run$fits, function(fit) -2 * as.numeric(logLik(fit)), 0),
       evaluations = sum(vapply(run$fits, evaluations, 0)))
}

# Leave the measurement, whole or not at all.
write_measurement <- function(first, seconds) {
  part <- paste0(job$out, ".part")
  cat(sprintf('{"version": "%s", "seconds": %s, "peak": %s, "criteria": %s, "evaluations": %s}\n',
              first$version, numbers(seconds), number(first$peak), numbers(first$criteria),
              number(first$evaluations)), file = part)
  invisible(file.rename(part, job$out))
}

# The call to time, which returns a list of fits, and what makes, outside the time, what it is given.
timed_call <- function(fit, refit, questions) {
  data <- load_table(job$data)
  formula <- as.formula(job$formula)
  nothing <- function() NULL
  if (job$task == "fit") return(list(prepare = nothing, run = function(given) list(fit(formula, data))))
  if (!job$task %in% c("refit", "refits")) {
    question <- questions[[job$task]]
    return(list(prepare = function() question$fit(formula, data),
                run = function(fitted) { question$ask(fitted); list(fitted) }))
  }
  Y <- load_table(job$responses)
  if (job$task == "refit") Y <- Y[1]
  fitted <- fit(formula, data)
  list(prepare = nothing, run = function(given) lapply(Y, function(y) refit(fitted, y)))
}

# fit(formula, data), refit(fit, y) and evaluations(fit) say how the package is used; `questions` has, by task,
# what is asked of a fit and how that is fitted.
measure <- function(package, fit, refit, evaluations, questions = list()) {
  fit(if (family == "gaussian") y ~ x + (1 | g) else z ~ x + (1 | g), load_table(job$warm_up))
  call <- timed_call(fit, refit, questions)
  start <- proc.time()[["elapsed"]]
  run <- run_first(call)
  first <- first_run(package, run, evaluations)
  write_measurement(first, run$seconds)
  rm(run)
  seconds <- c()
  written <- start
  repeat {
    elapsed <- proc.time()[["elapsed"]] - start
    if (elapsed > budget || length(seconds) >= 101 || (length(seconds) >= 5 && sum(seconds) > 2)) break
    seconds <- c(seconds, timed(call)$seconds)
    if (proc.time()[["elapsed"]] - written > 1) {  # writing a file empties the caches that short runs live in
      write_measurement(first, seconds)
      written <- proc.time()[["elapsed"]]
    }
  }
  if (length(seconds) > 0) write_measurement(first, seconds)
}

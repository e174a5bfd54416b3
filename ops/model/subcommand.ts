/** The interface of subcommands of `npm run model`, and what they share: options, errors, output. */
import { resolve } from "node:path"
import { type ParseArgsOptionsConfig, parseArgs } from "node:util"
import { CommandError, showProgressLine } from "../deployment.ts"

/** Where a command writes: results on stdout, progress and remarks on stderr. */
export interface Output {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** One line of progress; on a terminal it replaces the previous one. */
  readonly progress: (text: string) => void
}

/** The streams of this process. */
export const PROCESS_OUTPUT: Output = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  progress: showProgressLine,
}

/** A subcommand of `npm run model --`. */
export interface Subcommand {
  readonly name: string
  /** One line of at most 80 characters, for the list that `--help` shows. */
  readonly summary: string
  /** The text of `<name> --help`. */
  readonly help: string
  /** Runs with the arguments after the name. Throws `CommandError` if there is no result. */
  run(args: readonly string[], output: Output): Promise<void>
}

/** The given options, files or rows cannot be used. Exit code 2. */
export class InputError extends CommandError {
  override readonly exitCode = 2
}

/** The values of options. An unknown option, a missing value or a positional argument is an `InputError`. */
export function readOptions<Options extends ParseArgsOptionsConfig>(args: readonly string[], options: Options) {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values
  } catch (error) {
    throw new InputError(`${error instanceof Error ? error.message : error} --help says more.`)
  }
}

/** The value of a required option. */
export function required(value: string | undefined, option: string): string {
  if (value === undefined || value === "") throw new InputError(`Name --${option}. --help says more.`)
  return value
}

/** A whole number from `min` to `max`, or the fallback if the option is not given. */
export function wholeNumber(
  value: string | undefined,
  option: string,
  { min, max, fallback }: { readonly min: number; readonly max: number; readonly fallback: number },
): number {
  if (value === undefined) return fallback
  const number = Number(value)
  if (/^\d+$/.test(value) && number >= min && number <= max) return number
  throw new InputError(`--${option} is a whole number from ${min} to ${max}.`)
}

/** The trimmed parts of a comma-separated list. */
export const listOf = (value: string | undefined): readonly string[] =>
  (value ?? "").split(",").flatMap((part) => (part.trim() === "" ? [] : [part.trim()]))

/** A path relative to the caller's folder, because npm runs scripts in the project's folder. */
export const pathOf = (path: string): string => resolve(process.env.INIT_CWD ?? process.cwd(), path)

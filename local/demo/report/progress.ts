/** One line per day: overwritten on a terminal, kept in other output. */
import type { WriteStream } from "node:tty"

export interface DayLine {
  readonly day: number
  readonly days: number
  readonly date: Date
  readonly sent: number
  readonly openCases: number
  readonly nudges: number
}

export interface Progress {
  show(line: DayLine): void
  /** Keeps the last line. */
  end(): void
}

/** Writes to `stream`. */
export function createProgress(stream: Pick<WriteStream, "write" | "isTTY">): Progress {
  const isTerminal = stream.isTTY === true
  let isOpen = false
  return {
    show({ day, days, date, sent, openCases, nudges }) {
      const width = String(days).length
      const text = [
        `day ${String(day).padStart(width)}/${days}`,
        date.toISOString().slice(0, 10),
        `${String(sent).padStart(5)} events sent`,
        `${String(openCases).padStart(3)} cases open`,
        `${String(nudges).padStart(4)} nudges`,
      ].join("  ")
      stream.write(isTerminal ? `\r\u001b[2K${text}` : `${text}\n`)
      isOpen = isTerminal
    },
    end() {
      if (isOpen) stream.write("\n")
      isOpen = false
    },
  }
}

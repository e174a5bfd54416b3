/**
 * Reads a secret from a terminal or a pipe; never from the command line, which other users and the shell's history see.
 */
import { StringDecoder } from "node:string_decoder"
import { CommandError } from "../deployment.ts"

/** A secret is one line; more is a wrong file. */
const BYTES_MAX = 4096

/** The secret on stdin, without its line break; on a terminal with a prompt and without echo. */
export function readSecret(prompt: string): Promise<string> {
  return process.stdin.isTTY ? readHidden(prompt) : readPiped()
}

async function readPiped(): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > BYTES_MAX) throw new CommandError("The input on stdin is not a secret.")
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "")
}

const [CTRL_C, CTRL_D, BACKSPACE, DELETE] = ["\u0003", "\u0004", "\b", "\u007f"]

function readHidden(prompt: string): Promise<string> {
  const { stdin, stderr } = process
  stderr.write(prompt)
  stdin.setRawMode(true)
  stdin.resume()
  const decoder = new StringDecoder("utf8")
  let secret = ""
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      stdin.off("data", onData)
      stdin.setRawMode(false)
      stdin.pause()
      stderr.write("\n")
      settle()
    }
    const onData = (chunk: Buffer): void => {
      for (const character of decoder.write(chunk)) {
        const isStopped = character === CTRL_C || character === CTRL_D
        if (isStopped || character === "\r" || character === "\n") {
          end(() => (isStopped ? reject(new CommandError("Stopped.")) : resolve(secret)))
          break
        }
        secret = character === BACKSPACE || character === DELETE ? secret.slice(0, -1) : secret + character
      }
    }
    stdin.on("data", onData)
  })
}

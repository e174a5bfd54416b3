import { describe, expect, test } from "vitest"
import { firstNameOf } from "./first-name.ts"

describe("a first name", () => {
  test.each([
    ["Ada Lovelace", "Ada"],
    ["  Jean-Luc   Picard", "Jean-Luc"],
    ["O’Neil", "O’Neil"],
    ["José María", "José"],
    ["李 小龍", "李"],
    ["J. Doe", "J."],
    ["Nguyễn Văn", "Nguyễn"],
    ["Nguyễn Văn".normalize("NFD"), "Nguyễn"],
    ["Dr. Ada Lovelace", "Ada"],
    ["Prof. Dr. med. Ada Lovelace", "Ada"],
    ["Herr Jan Schmidt", "Jan"],
    ["Van Morrison", "Van"],
    ["Nan Goldin", "Nan"],
    ["Na Li", "Na"],
    ["No Rina", "No"],
    ["ADA LOVELACE", "ADA"],
    ["علی\u200cرضا محمدی", "علی\u200cرضا"],
    ["क्\u200dषितिज", "क्\u200dषितिज"],
    ["မြို့မောင်", "မြို့မောင်"],
    ["Ọlá́", "Ọlá́".normalize("NFC")],
    ["A\u200bd\u200da\ufeff", "Ada"],
    ["丽丽", "丽丽"],
  ])("of %j is %s", (name, first) => {
    expect(firstNameOf(name)).toBe(first)
  })

  test.each([
    null,
    "",
    "ada@example.com",
    "evil.example",
    "https://evil.example",
    "xX_ada_Xx",
    "user123",
    "Lovelace, Ada",
    "<b>Ada</b>",
    "🔥",
    "A".repeat(31),
    "[Ada](x)",
    "=HYPERLINK(1)",
    ...[
      "null",
      "NULL",
      "NaN",
      "nan",
      "undefined",
      "N/A",
      "n/a",
      "none",
      "None.",
      "-",
      "--",
      ".",
      "?",
      "Unknown",
      "xxx",
    ],
    ...["Mr.", "Mr", "MRS.", "Dr", "Dr.", "Dr. med.", "Mr. Smith", "Frau Schmidt", "M. Dupont", "Sra. García", "Herr"],
    ...["von", "Von", "von Neumann", "de la Cruz", "van der Berg", "Van der Berg", "zu Guttenberg"],
    ...[
      "ACME",
      "Acme",
      "Acme Corp",
      "Acme Fitness GmbH",
      "Foo AG",
      "Test",
      "test user",
      "Test Test",
      "IBM",
      "Customer",
    ],
    ...["No Name", "Not Provided", "not available", "Unnamed", "na", "x", "Card Holder", "VISA CARDHOLDER"],
    ...["Dear Customer", "Stripe Customer", "Mr. and Mrs. Smith", "The Smiths", "Familie Weber"],
    ...["Guest", "First Last", "Kunde", "Cliente", "Client inconnu", "Mr. & Mrs. Smith", "admin"],
    ...["\u200b", "\u200d\u200c", "\u3164", "\u2800", "\u00ad\ufeff", "\u115f\u1160", "\ufe0f", "\u{e0041}"],
    ...["Z̸̧a̷l̶g̵o̴", "Ada\u0301\u0302\u0303\u0304", "H̵̛͕̞̦̰̜͍̰̥̟͆̏͂̌͑ͅä̷͔̟͓̬̯̟͍̭͉͈̮͙̣̯̬͚̞̭̍̀̾͠m̴̡̧̛̝̯̹̗̹̤̲̺̟̥̈̏͊̔̑̍͆̌̀̚͝͝b̴̢̢̫̝̠̗̼̬̻̮̺̭͔̘͑̆̎̚"],
  ])("is not taken from %j", (name) => {
    expect(firstNameOf(name)).toBeNull()
  })

  test.each([
    ["null Undefined NIL none void", "English words for nothing"],
    ["dummy TBD redacted hidden", "words for what is missing"],
    ["tester qwerty foo lorem", "words of testers"],
    ["username visitor cardholder owner", "words for anybody"],
    ["webmaster billing team hello", "words for a mailbox"],
    ["unnamed not family dear stripe", "words of forms"],
    ["lastname fullname your", "labels of fields"],
    ["unbekannt gast vorname desconocida usuario", "German and Spanish words"],
    ["anónimo prueba inconnue prénom societe", "Spanish and French words"],
    ["acme enterprise organisation", "words for a company"],
  ])("is not %s: %s", (words) => {
    for (const word of words.split(" ")) {
      expect([word, firstNameOf(word), firstNameOf(`${word} Lovelace`)]).toEqual([word, null, null])
    }
  })

  test.each([
    ["Messrs Smith", null],
    ["Rev. Smith", null],
    ["Señora García", null],
    ["Dipl.-Ing. Schmidt", null],
    ["Dipl-Ing Anna Schmidt", "Anna"],
    ["Captain Ada Lovelace", "Ada"],
    ["Mag. Anna Huber", "Anna"],
    ["Mag Ryan", "Mag"],
    ["H.c. Ada Lovelace", "Ada"],
    ["..Dr.. Ada Lovelace", "Ada"],
    ["Prof. Ing. Col. Ada Lovelace", "Ada"],
    ["Herr und Frau Weber", null],
    ["Mr. y Mrs. Smith", null],
    ["Ada und Jan Weber", "Ada"],
  ])("comes after titles, of which a single word is a family name: %s", (name, first) => {
    expect(firstNameOf(name)).toBe(first)
  })

  test.each([
    ["Van", null],
    ["Van der Berg", null],
    ["Di Stefano", "Di"],
    ["di Stefano", null],
    ["San Martín", "San"],
    ["san Martín", null],
    ["Vom Dorf", null],
    ["Zum Felde", null],
    ["Al", null],
    ["Al Pacino", "Al"],
  ])("is not the beginning of a family name: %s", (name, first) => {
    expect(firstNameOf(name)).toBe(first)
  })

  test.each([
    ["Zed Inc.", null],
    ["Zed Holdings", null],
    ["Yoga Studio", null],
    ["Zed S.A.", null],
    ["Zed SA", null],
    ["Zed Sa", "Zed"],
    ["Ada Co", "Ada"],
    ["Zed OY", null],
    ["Group Ada", "Group"],
    ["Gym", null],
  ])("is not that of a company: %s", (name, first) => {
    expect(firstNameOf(name)).toBe(first)
  })

  test.each(["SA", "AG", "AB", "BV", "NV", "OY", "AS", "SL", "LP", "CO", "SE", "EV", "KG", "UG"])(
    "is not that of a company that ends in %s",
    (end) => {
      expect(firstNameOf(`Zed ${end}`)).toBeNull()
    },
  )

  test.each([
    ["O'Neil", "O'Neil"],
    ["Jean-Luc-Marie", "Jean-Luc-Marie"],
    ["Zoë-Ọlá́", "Zoë-Ọlá́".normalize("NFC")],
    ["علی-علی\u200cرضا", "علی-علی\u200cرضا"],
    ["Ada.", "Ada."],
    ["Ada..", null],
    ["Ada-", null],
    ["-Ada", null],
    ["'Ada", null],
    ["Ada--Lu", null],
    ["Ada1", null],
    ["1Ada", null],
    ["A1da", null],
    ["Ada-1", null],
    ["Ada-L1", null],
    ["A", null],
    ["ä Ada", "ä"],
    ["bbb", null],
    ["Bb Ada", null],
    ["Bbc Ada", "Bbc"],
    ["NA Li", null],
    ["NAN Li", null],
    ["Nano Li", "Nano"],
    ["nadia Li", "nadia"],
    ["Ann Li", "Ann"],
    ["Ana Li", "Ana"],
    ["no. name", null],
    ["Yo Name", "Yo"],
    ["..null..", null],
    ["n.a.", null],
    ["IBM Smith", "IBM"],
    ["ÉLODIE", null],
    ["IBm", "IBm"],
    ["McKAY", "McKAY"],
    ["A".repeat(30), null],
    ["Ab".repeat(15), "Ab".repeat(15)],
    [`${"Ab".repeat(15)}a`, null],
    ["𝔸𝔹".repeat(15), null],
    ["𝔸𝔹".repeat(15).concat(" Lovelace"), "𝔸𝔹".repeat(15)],
  ])("is one word of letters: %s", (name, first) => {
    expect(firstNameOf(name)).toBe(first)
  })

  test.each([
    ["one mark", "Ada\u0323x Lovelace", "Adạx"],
    ["two marks of Latin on one letter", "Adx\u0323\u0324 Lovelace", null],
    ["three marks that scripts share", "کa\u064b\u064c\u064d Lovelace", null],
    ["two marks that scripts share", "کب\u064b\u064c Lovelace", "کب\u064b\u064c"],
    ["five marks of any script", "က\u102d\u102f\u103b\u103c\u103d Lovelace", null],
    ["four marks of any script", "က\u102d\u102f\u103b\u103c Lovelace", "က\u102d\u102f\u103b\u103c"],
    ["too many marks after a thousand characters", `Ada ${"x".repeat(1_000)}\u0323\u0324`, "Ada"],
  ])("may have %s or not", (_, name, first) => {
    expect(firstNameOf(name)).toBe(first)
  })
})

/** The first name for a greeting, if a name clearly has one. */
import { oneLine } from "./clean.ts"

const RAW_MAX = 1_000
const FIRST_NAME_MAX = 30

const setOf = (...lists: readonly string[]): ReadonlySet<string> => new Set(lists.join(" ").split(" "))

/** What forms, imports and test data contain where a name is missing. Lower case. */
const PLACEHOLDERS = setOf(
  "null undefined nil none void false true unknown anonymous anonym anonymous noname nobody empty blank missing",
  "default temp tmp dummy tbd todo deleted removed redacted private hidden",
  "test tester testing test-user testuser demo example sample foo foobar asdf asd qwerty qwertz abc abcd xxx xx xyz lorem",
  "user username customer member client guest visitor subscriber buyer cardholder person contact account owner admin",
  "administrator root webmaster info support billing sales accounting accounts finance office team staff hello mail email",
  "unnamed not no-name n.a n.n card cardholder visa mastercard stripe dear the family familie famille familia",
  "name first firstname first-name last lastname fullname your full",
  "unbekannt kunde kundin gast mitglied vorname nachname firma desconocido desconocida cliente invitado usuario nombre",
  "anonimo anónimo prueba inconnu inconnue utilisateur invité anonyme nom prénom prenom société societe",
  "acme company organization organisation business enterprise corporation",
)

/** Titles and forms of address. A single word after them is a family name, which is not used in a greeting. */
const TITLES = setOf(
  "mr mrs ms miss mx dr med rer nat jur phil h.c prof professor sir madam madame ma'am mme mlle monsieur mademoiselle messrs lady lord dame rev",
  "reverend hon herr frau hr fr fräulein frl sr sra srta señor señora señorita dra doctor doctora dott dottore",
  "dipl dipl-ing ph.d phd m me mm drs mister mistress captain capt sgt lt",
)
/** Titles that are also names when they are written without a full stop. */
const DOTTED_TITLES = setOf("mag. lic. ing. col. maj. gen. pr.")

/** Words that begin a family name if in lower case, or alone: "Van" and "Di" are also first names. */
const PARTICLES = setOf(
  "von van vom zu zum zur de der den des del della dello di da dos das do du la le les el al bin ibn ben abu ter ten af av",
  "und y e st san",
)
/** Those that are never first names, in any case. */
const LOWERCASE_PARTICLES = setOf("von vom zu zum zur")

/** The last word of a company's name. Two-letter ones only in capitals: "Sa" and "Co" are also names of people. */
const COMPANY_ENDS = setOf(
  "inc llc ltd limited gmbh corp corporation company sarl sas srl plc pty llp kg ohg mbh ug gbr holding holdings group",
  "gruppe groupe grupo studio studios gym fitness services service solutions consulting agency verein foundation gmbh&co",
)
const SHORT_COMPANY_ENDS = new Set(["SA", "AG", "AB", "BV", "NV", "OY", "AS", "SL", "LP", "CO", "SE", "EV"])

/** A word in lower case, without its full stops. */
const plain = (word: string): string => word.toLowerCase().replaceAll(/^\.+|\.+$/g, "")

const isTitle = (word: string): boolean => TITLES.has(plain(word)) || DOTTED_TITLES.has(word.toLowerCase())

function beginsFamilyName([first = "", second]: readonly string[]): boolean {
  if (PARTICLES.has(first) || LOWERCASE_PARTICLES.has(plain(first))) return true
  return PARTICLES.has(plain(first)) && (second === undefined || PARTICLES.has(second))
}

/** "Nan", "Na" and "No" are names; "NaN", "na" and "No Name" are not. */
const isPlaceholder = (word: string, next = ""): boolean =>
  PLACEHOLDERS.has(plain(word)) ||
  /^(?:nan|N[aA]N|na|NA)$/.test(word) ||
  /^[a-z]$/i.test(word) ||
  /^([a-z])\1+$/i.test(plain(word)) ||
  (plain(word) === "no" && PLACEHOLDERS.has(plain(next)))

/** "Mr. and Mrs. Smith" are two people. */
const CONJUNCTIONS = setOf("and und et y e o og och en & +")

const isCompany = (words: readonly string[]): boolean => {
  const last = (words.at(-1) ?? "").replaceAll(".", "")
  return COMPANY_ENDS.has(last.toLowerCase()) || SHORT_COMPANY_ENDS.has(last)
}

/** Letters with their combining marks and joiners. */
const NAME = /^\p{L}[\p{L}\p{M}\u200c\u200d]*(?:['’-]\p{L}[\p{L}\p{M}\u200c\u200d]*)*\.?$/u

/**
 * More combining marks than any orthography puts on a composed letter: two of those for Latin, Greek and Cyrillic, three of
 * those that scripts share, five of any.
 */
const STACKED = /[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{2}|\p{sc=Zinh}{3}|\p{M}{5}/u

/**
 * The first word of a person's name if it is clearly a name, else null: not a title, a placeholder, a company, a link, a
 * login, an address or markup. "Family, Given" is null too, since its first word is the family name.
 */
export function firstNameOf(name: string | null): string | null {
  if (name === null || STACKED.test(name.slice(0, RAW_MAX).normalize("NFC"))) return null
  const words = oneLine(name.normalize("NFC"), RAW_MAX).split(" ")
  const titles = words.findIndex((word) => !isTitle(word))
  const rest = titles === -1 ? [] : words.slice(titles)
  const [first = ""] = rest
  if (isCompany(rest) || (titles > 0 && (rest.length === 1 || CONJUNCTIONS.has(plain(first))))) return null

  const isName = NAME.test(first) && [...first].length <= FIRST_NAME_MAX
  // A single word in capitals is more often a company than a person.
  const isAcronym = words.length === 1 && /^\p{Lu}{2,}$/u.test(first)
  return isName && !isPlaceholder(first, rest[1]) && !beginsFamilyName(rest) && !isAcronym ? first : null
}

-- What paper.qmd needs besides Markdown. Runs as Quarto's filter and as pandoc's, before citations are resolved.
-- In both: the abstract, the widths of columns. In plain pandoc only, since Quarto does it itself: figures, tables, sections and equations are
-- numbered, and @fig-x, @tbl-x, @sec-x and @eq-x become links to them. A reference to nothing stops the build.

local source = quarto and io.open(quarto.doc.input_file)
if source and source:read("a"):find("{{< var", 1, true) then -- quarto render papers/paper.qmd
  io.stderr:write("error: papers/paper.qmd is a template. `make poster` writes it with the numbers of the miniature into "
    .. "results/miniature/paper/ and renders it there.\n")
  os.exit(2)
end

local typst = FORMAT:match("typst") ~= nil
local html = FORMAT:match("html") ~= nil
local names = { fig = "Figure", tbl = "Table", sec = "Section", eq = "Equation" }
local numbers = {} -- by identifier: "3", "2.1"

local function fail(message)
  assert(false, "paper.lua: " .. message) -- under Quarto error() is only logged
end

local function raw(text)
  return pandoc.RawBlock(typst and "typst" or "html", text)
end

local function kind(identifier)
  local found = identifier:match("^(%a+)%-")
  return names[found] and found or nil
end

local function wrapped(before, blocks, after)
  local out = pandoc.List({ raw(before) })
  out:extend(blocks)
  out:insert(raw(after))
  return out
end

-- "$$ a $$ {#eq-a}", alone in its paragraph: the formula and its identifier
local function equation(block)
  if block.t ~= "Para" then return nil end
  local last = block.content[#block.content]
  local identifier = last and last.t == "Str" and last.text:match("^{#(eq%-[%w-]+)}$")
  if not identifier then return nil end
  if block.content[1].t ~= "Math" or #block.content > 3 then fail(identifier .. " is not alone in its paragraph") end
  return block.content[1], identifier
end

-- First pass: number everything that has an identifier of one of the four kinds, in the order of the text.
local function number_all(document)
  local levels, counts = {}, { fig = 0, tbl = 0, eq = 0 }
  local function give(identifier, number)
    if numbers[identifier] then fail("two things are called " .. identifier) end
    numbers[identifier] = number
  end
  local function counted(identifier)
    local found = kind(identifier)
    if not found or found == "sec" then return end
    counts[found] = counts[found] + 1
    give(identifier, tostring(counts[found]))
  end
  document:walk({
    traverse = "topdown",
    Header = function(header)
      if header.classes:includes("unnumbered") then return end
      for level = 1, header.level do levels[level] = levels[level] or 0 end
      levels[header.level] = levels[header.level] + 1
      for level = header.level + 1, #levels do levels[level] = nil end
      if kind(header.identifier) == "sec" then give(header.identifier, table.concat(levels, ".")) end
    end,
    Figure = function(figure) counted(figure.identifier) end,
    Div = function(div) counted(div.identifier) end,
    Para = function(para)
      local _, identifier = equation(para)
      if identifier then counted(identifier) end
    end,
  })
end

local function reference(citation)
  local identifier = citation.id
  local number = numbers[identifier]
  if not number then fail("@" .. identifier .. " refers to nothing") end
  local name = names[kind(identifier)]
  local short = citation.mode == "SuppressAuthor"
  if typst and kind(identifier) ~= "eq" then
    local supplement = short and "none" or "[" .. name .. "]"
    return pandoc.RawInline("typst", "#ref(<" .. identifier .. ">, supplement: " .. supplement .. ")")
  end
  local text = short and number or name .. "\u{a0}" .. number
  return pandoc.Link(text, "#" .. identifier, "", { class = "cross-reference" })
end

local function resolve(cite)
  local found = 0
  for _, citation in ipairs(cite.citations) do
    if kind(citation.id) then found = found + 1 end
  end
  if found == 0 then return nil end
  if found < #cite.citations then fail("citations and cross-references are in one pair of brackets") end
  local out = pandoc.List({})
  for place, citation in ipairs(cite.citations) do
    if place > 1 then out:extend({ pandoc.Str(","), pandoc.Space() }) end
    out:insert(reference(citation))
  end
  return out
end

-- The same Typst as Quarto writes, so that one template dresses both.
local function float(identifier, content, caption)
  local found = kind(identifier)
  if typst then
    local out = wrapped("#figure([", content, "], caption: figure.caption(position: "
      .. (found == "fig" and "bottom" or "top") .. ", [")
    out:extend(caption)
    out:insert(raw(']), kind: "quarto-float-' .. found .. '", supplement: "' .. names[found] .. '")\n<' .. identifier .. ">"))
    return out
  end
  local label = pandoc.Strong({ pandoc.Str(names[found] .. "\u{a0}" .. numbers[identifier] .. ":"), })
  local text = pandoc.utils.blocks_to_inlines(caption)
  text:insert(1, pandoc.Space())
  text:insert(1, label)
  local legend = wrapped("<figcaption>", { pandoc.Plain(text) }, "</figcaption>")
  local out = pandoc.List({ raw('<figure id="' .. identifier .. '" class="float-' .. found .. '">') })
  if found == "tbl" then out:extend(legend) end
  out:extend(content)
  if found == "fig" then out:extend(legend) end
  out:insert(raw("</figure>"))
  return out
end

local finish = {
  Image = function(image)
    image.attributes.alt = image.attributes["fig-alt"]
    image.attributes["fig-alt"] = nil
    return image
  end,
  Figure = function(figure)
    if kind(figure.identifier) == "fig" then
      return float(figure.identifier, figure.content, figure.caption.long)
    end
  end,
  Div = function(div)
    if kind(div.identifier) ~= "tbl" then return nil end
    local caption = div.content:remove()
    if not caption or caption.t ~= "Para" then fail(div.identifier .. " does not end with a caption") end
    return float(div.identifier, div.content, { caption })
  end,
  Para = function(para)
    local formula, identifier = equation(para)
    if not identifier then return nil end
    local number = "(" .. numbers[identifier] .. ")"
    if typst then
      return wrapped("#paper-equation([", { pandoc.Plain({ formula }) }, "], [" .. number .. "])\n<" .. identifier .. ">")
    end
    return pandoc.Div(pandoc.Plain({ formula, pandoc.Span(number, { class = "equation-number" }) }),
      { id = identifier, class = "equation", tabindex = "0", role = "group",
        ["aria-label"] = "Equation " .. numbers[identifier] }) -- scrolls where it is wider than the page
  end,
}

local always = {
  Div = function(div)
    for _, name in ipairs({ "abstract", "provenance" }) do
      if typst and div.classes:includes(name) then return wrapped("#paper-" .. name .. "[", div.content, "]") end
    end
  end,
  Table = function(block) -- columns as wide as what they hold, not as the dashes of the source
    block.colspecs = block.colspecs:map(function(column) return { column[1], nil } end)
    return block
  end,
}

function Pandoc(document)
  if not (typst or html) then fail("no paper in the format " .. FORMAT) end
  document = document:walk(always)
  if quarto ~= nil then return document end
  number_all(document)
  document = document:walk({ Cite = resolve }):walk(finish)
  if html then document.blocks = wrapped("<main>", document.blocks, "</main>") end
  return document
end

-- The divs of poster.qmd as a page: HTML gets a sheet with a header and a grid, Typst gets calls of the
-- functions in poster-template.typst. Runs as Quarto's filter and as pandoc's.

local source = quarto and io.open(quarto.doc.input_file)
if source and source:read("a"):find("{{< var", 1, true) then -- quarto render papers/poster.qmd
  io.stderr:write("error: papers/poster.qmd is a template. `make poster` writes it with the numbers of the miniature into "
    .. "results/miniature/poster/ and renders it there.\n")
  os.exit(2)
end

local typst = FORMAT:match("typst") ~= nil
local html = FORMAT:match("html") ~= nil

local function raw(text)
  return pandoc.RawBlock("typst", text)
end

local function has(block, class)
  return block.t == "Div" and block.classes:includes(class)
end

local function fail(message)
  assert(false, "poster.lua: " .. message) -- under Quarto error() is only logged
end

-- "1 2 1" as fractions of the width: (1fr, 2fr, 1fr) or 1fr 2fr 1fr
local function fractions(block, attribute, separator)
  local list = block.attributes[attribute]
  if not list then fail("a ." .. block.classes[1] .. " needs " .. attribute) end
  local parts = {}
  for part in list:gmatch("[%d.]+") do parts[#parts + 1] = part .. "fr" end
  return table.concat(parts, separator)
end

local function children(block, class)
  local found = {}
  for _, child in ipairs(block.content) do
    if not has(child, class) then fail("in ." .. block.classes[1] .. " there may be only ." .. class) end
    found[#found + 1] = child
  end
  return found
end

local function emit_panel(block, out)
  local kind = "plain"
  for _, class in ipairs({ "hero", "accent" }) do
    if block.classes:includes(class) then kind = class end
  end
  out:insert(raw(string.format('(kind: "%s", grow: %s, body: [', kind, tostring(block.classes:includes("grow")))))
  out:extend(block.content)
  out:insert(raw("]),"))
end

local function emit_poster(block, out)
  out:insert(raw("#poster-columns((" .. fractions(block, "columns", ", ") .. ",), ("))
  for _, column in ipairs(children(block, "poster-column")) do
    out:insert(raw('(name: "' .. (column.attributes.name or "?") .. '", panels: ('))
    for _, panel in ipairs(children(column, "poster-panel")) do emit_panel(panel, out) end
    out:insert(raw(")),"))
  end
  out:insert(raw("))"))
end

local function wrapped(before, blocks, after)
  local out = pandoc.List({ raw(before) })
  out:extend(blocks)
  out:insert(raw(after))
  return out
end

-- Inside panels: the large numbers, the table, the text in small type.
local inner = {
  Div = function(block)
    if not typst then return nil end
    if has(block, "poster-facts") then
      local out = pandoc.List({ raw("#poster-facts((") })
      for _, child in ipairs(block.content) do
        if child.t ~= "BulletList" then fail("a .poster-facts holds one list") end
        for _, item in ipairs(child.content) do out:extend(wrapped("[", item, "],")) end
      end
      out:insert(raw("))"))
      return out
    end
    if has(block, "poster-side") then
      local out = pandoc.List({ raw("#poster-side((" .. fractions(block, "widths", ", ") .. ",), (") })
      for _, part in ipairs(children(block, "poster-part")) do out:extend(wrapped("[", part.content, "],")) end
      out:insert(raw("))"))
      return out
    end
    if has(block, "poster-scroll") or has(block, "scroll") then return block.content end
    if has(block, "poster-source") then return {} end -- links, for the screen
    if has(block, "poster-caption") then return wrapped("#poster-caption[", block.content, "]") end
    if has(block, "poster-table") then return wrapped("#poster-table[", block.content, "]") end
  end,
  Span = function(span)
    for _, class in ipairs({ "fact", "limits", "big" }) do
      if typst and span.classes:includes(class) then
        local out = pandoc.List({ pandoc.RawInline("typst", "#poster-" .. class .. "[") })
        out:extend(span.content)
        out:insert(pandoc.RawInline("typst", "]"))
        return out
      end
    end
  end,
  Table = function(block) -- as wide as its panel, a column by the longest of its cells
    local longest, sum = {}, 0
    local function measured(rows)
      for _, row in ipairs(rows) do
        for i, cell in ipairs(row.cells) do
          longest[i] = math.max(longest[i] or 8, math.min(24, utf8.len(pandoc.utils.stringify(cell.contents))))
        end
      end
    end
    measured(block.head.rows)
    for _, body in ipairs(block.bodies) do measured(body.body) end
    for _, length in ipairs(longest) do sum = sum + length end
    for i, column in ipairs(block.colspecs) do block.colspecs[i] = { column[1], longest[i] / sum } end
    return block
  end,
  Image = function(image)
    -- Quarto does this itself
    if quarto == nil and image.attributes["fig-alt"] then
      image.attributes.alt = image.attributes["fig-alt"]
      image.attributes["fig-alt"] = nil
      return image
    end
  end,
}

local function text_of(meta, key)
  if not meta[key] then fail("the metadata lack " .. key) end
  local value = meta[key]
  if pandoc.utils.type(value) == "List" then value = value[1] end
  return pandoc.utils.type(value) == "Blocks" and pandoc.utils.blocks_to_inlines(value) or pandoc.Inlines(value)
end

function Pandoc(document)
  local claim, code, poster, footer = nil, nil, nil, nil
  for _, block in ipairs(document.blocks) do
    if has(block, "poster-claim") then claim = block end
    if has(block, "poster-code") then code = block end
    if has(block, "poster") then poster = block end
    if has(block, "poster-footer") then footer = block end
  end
  if not (claim and code and poster and footer) then return nil end -- another page of the site
  poster = poster:walk(inner)
  code = code:walk(inner)
  local out = pandoc.List({})
  if typst then
    out:extend(wrapped("#poster-header(claim: [", claim.content, "],"))
    out:extend(wrapped("code: [", code.content, "])"))
    emit_poster(poster, out)
    out:extend(wrapped("#poster-footer[", footer.content, "]"))
  elseif html then
    local meta = document.meta
    local names = pandoc.Div({
      pandoc.Para({ pandoc.Span(text_of(meta, "title"), { class = "poster-title" }), pandoc.Space(),
        pandoc.Span(text_of(meta, "subtitle"), { class = "poster-subtitle" }) }),
    }, { class = "poster-names" })
    local heading = pandoc.Div({ pandoc.Header(1, pandoc.utils.blocks_to_inlines(claim.content)) },
      { class = "poster-claim" })
    local authors = pandoc.Div({
      pandoc.Para(text_of(meta, "author")), pandoc.Para(text_of(meta, "institute")),
    }, { class = "poster-authors" })
    local header = pandoc.Div({ pandoc.Div({ names, heading, authors }, { class = "poster-header-text" }), code },
      { class = "poster-header" })
    poster.attributes.style = "--columns: " .. fractions(poster, "columns", " ")
    poster.attributes.columns = nil
    poster = poster:walk({ Div = function(block)
      if has(block, "poster-side") then
        block.attributes.style = "--widths: " .. fractions(block, "widths", " ")
        block.attributes.widths = nil
        return block
      end
    end })
    meta.pagetitle = pandoc.utils.stringify(meta.title) .. ": " .. pandoc.utils.stringify(meta.subtitle)
    meta.title, meta.subtitle, meta.author, meta.institute = nil, nil, nil, nil
    if quarto == nil then
      local open, close = '<main class="poster-sheet">', "</main>"
      out:extend({ pandoc.RawBlock("html", open), header, poster, footer, pandoc.RawBlock("html", close) })
    else -- whose page is a <main> already
      out:insert(pandoc.Div({ header, poster, footer }, { class = "poster-sheet" }))
    end
  else
    fail("no poster in the format " .. FORMAT)
  end
  document.blocks = out
  return document
end
